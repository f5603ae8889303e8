import type { Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { model } from '../../src/models/model.ts'
import { until } from '../../src/testing/wait.ts'
import { instanceId } from '../../src/bus/ids.ts'
import { tool } from '../../src/tools/tool.ts'
import { on } from '../../src/workflows/patterns.ts'
import { workflow } from '../../src/workflows/workflow.ts'
import { describeBrowser } from '../lib/browser.ts'
import { Pen } from '../lib/pen.ts'
import { ask, onAnyBus } from '../lib/world.ts'
import { expectAccessible } from './lib/accessible.ts'
import { openConsole, serveApp } from './lib/console.ts'

/* Tasks and workflows in the console: the lists, a task while it is written, one with many turns, and an instance that goes on. */

const check = tool('stock.check', {
  description: 'Checks the stock.',
  input: z.object({ order: z.string() }),
  run: ({ order }) => {
    if (order === 'none') throw new Error('no such order')
    return { order, left: 3 }
  },
})
const clerk = agent('clerk', {
  on: 'stock.asked',
  run: (ctx, { order }: { order: string }) => ctx.call(check, { order }),
})
const counter = agent('counter', {
  on: 'count.asked',
  async run(ctx, { to }: { to: number }) {
    for (let n = 1; n <= to; n++) {
      ctx.state.n = n
      await ctx.step(`count-${n}`, () => n)
    }
  },
})
const copier = agent('copier', {
  on: 'copy.asked',
  run: (_, { size }: { size: number }) => ({ text: '潮'.repeat(size) }),
})
const order = workflow('order', { on: 'order.placed', within: '90d' })
  .call('stock', check, () => ({ order: 'a' }))
  .when('payment', on('order.paid'), { within: '30d' })
  .complete(() => 'paid')

const rowsIn = (page: Page) => page.getByRole('grid', { name: /^Tasks/ }).getByRole('row')

await describeBrowser('tasks in the console', () =>
  onAnyBus(world => {
    it('lists, selects and shows tasks, live, from the newest turn back to the first', async () => {
      const pen = new Pen()
      onTestFinished(() => pen.close())
      const writer = agent('writer', { model: model(pen.model), instructions: 'Write.' })
      const { running, url } = await serveApp(await world(), {
        use: [check, clerk, counter, copier, order, writer],
      })
      const count = await ask(running, { type: 'count.asked', data: { to: 60 } })
      await ask(running, { type: 'copy.asked', data: { size: 500_000 } })
      await ask(running, { type: 'stock.asked', data: { order: 'none' } })
      await ask(running, { type: 'stock.asked', data: { order: 'none' } })
      await ask(running, { type: 'stock.asked', data: { order: 'b' } })
      const handle = await running.ask(writer, 'Write about water.', { user: 'ann' })

      // The list, its filter and its selection are in the URL.
      const page = await openConsole(url, { path: 'tasks?program=clerk' })
      const rows = rowsIn(page)
      await until(async () => (await rows.count()) === 3)
      await page.getByLabel('State').selectOption('failed')
      await until(async () => (await rows.count()) === 2)
      await page.getByRole('grid', { name: /^Tasks/ }).focus()
      await page.keyboard.press('j')
      await page.keyboard.press('x')
      await page.keyboard.press('j')
      await page.keyboard.press('x')
      await page.getByText('2 selected').waitFor()
      await page.reload()
      await page.getByText('2 selected').waitFor()
      await expectAccessible(page)
      await ask(running, { type: 'stock.asked', data: { order: 'none' } })
      // What comes while tasks are selected does not move them.
      await page.getByRole('button', { name: '1 newer' }).click()
      await until(async () => (await rows.count()) === 3)

      // Text is shown while it is written, also to who comes in the middle.
      await page.goto(`${url}/console/tasks/${handle.id}`)
      const sheet = await pen.sheet()
      sheet.write('The sea ')
      await page.getByText('The sea').waitFor()
      await page.reload()
      await page.getByText('The sea').waitFor()
      sheet.write('is wide.')
      sheet.end()
      await page.getByText('with the answer above').waitFor()
      expect(await page.getByText('The sea is wide.').count()).toBe(1)
      await expectAccessible(page)

      // A task of more than one page of turns opens at its end, and loads the others. One of 10,000 is in trace.test.ts.
      const task = count.id.slice(0, 47)
      await page.goto(`${url}/console/tasks/${task}?tab=turns`)
      await page.getByRole('region', { name: 'Turn 61' }).waitFor()
      expect(await page.getByRole('region', { name: 'Turn 1', exact: true }).count()).toBe(0)
      await page.goto(`${url}/console/tasks/${task}?tab=turns&turn=2`)
      await page.getByRole('region', { name: 'Turn 2', exact: true }).getByText('count-2').first().waitFor()
      await expectAccessible(page)

      // Large data is a preview and a download.
      await page.goto(`${url}/console/tasks?program=copier`)
      await rows.click()
      await page.getByText('1.4 MiB: this is the beginning').waitFor()
      const download = page.waitForEvent('download')
      await page.getByRole('button', { name: 'Download all' }).click()
      expect((await download).suggestedFilename()).toMatch(/\.json$/)
    })

    it('shows how far an instance of a workflow is, and what it waits for', async () => {
      const { running, url } = await serveApp(await world(), { use: [check, order] })
      const { correlationid } = await running.bus.publish({ type: 'order.placed', data: {} })
      const page = await openConsole(url, { path: 'workflows' })
      await page.getByRole('link', { name: '1 waiting' }).click()
      await rowsIn(page).waitFor()
      await page.goto(`${url}/console/workflows/order`)
      await page.getByRole('group', { name: 'Steps of order' }).getByText('stock.check').waitFor()
      await page.goto(`${url}/console/tasks/${instanceId(correlationid, 'order')}`)
      await page.getByText('waits for an event order.paid').waitFor()
      await page.locator('[data-state=active]').getByText('payment').waitFor()
      await expectAccessible(page)
      await running.bus.publish({ type: 'order.paid', correlationid, data: {} })
      await page.locator('[data-state=reached]').getByText('completed').waitFor()
    })
  }),
)
