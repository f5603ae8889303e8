import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent, offlineModel, tool } from '../../src/index.ts'
import { until } from '../../src/testing/wait.ts'
import { describeBrowser } from '../lib/browser.ts'
import { onAnyBus } from '../lib/world.ts'
import { expectAccessible } from './lib/accessible.ts'
import { openConsole, serveApp } from './lib/console.ts'

const check = tool('order.check', {
  description: 'Checks an order.',
  input: z.object({ order: z.string() }),
  run({ order }) {
    if (order === 'bad') throw new Error('no such order')
  },
})
const writer = agent('writer', { model: offlineModel({ msPerWord: 0 }), instructions: 'Answer.' })
const clerk = agent('clerk', {
  on: 'order.paid',
  async run(ctx, { order }: { order: string }) {
    await ctx.call(writer, 'Thank for the order.')
    await ctx.call(check, { order })
  },
})

await describeBrowser('health', () =>
  onAnyBus(world => {
    it('shows queues, rates, failures, workers, the log and the spend as they change, and links to the rows', async () => {
      const use = [check, writer, clerk]
      const { running, url } = await serveApp(await world(), { name: 'shop', use, budget: { tokens: 5_000 } })
      const page = await openConsole(url, { path: `health${new URL(running.console!).hash}` })
      const row = page.getByRole('row', { name: 'order.check' })
      await row.waitFor()
      await running.pauses.set('tool', 'order.check', true)
      const pay = (order: string) => running.bus.publish({ type: 'order.paid', data: { order } })
      await pay('a')
      await pay('bad')
      await row.getByText('paused').waitFor()
      await until(async () => /\d s/.test(await row.getByRole('cell').nth(5).innerText()))
      // Both have spent tokens: what of the budget, and what waits, are links to it.
      const budgets = page.getByRole('region', { name: 'Budgets' })
      await budgets
        .getByText(/^\d+ of 5,000$/)
        .nth(1)
        .waitFor()
      await row.getByRole('cell').nth(1).getByRole('link').click()
      await page.getByText('order.check has not answered').waitFor()
      await until(async () => (await page.getByRole('row', { name: 'tool.invoke' }).count()) === 2)
      expect(await page.getByRole('row').count()).toBe(2)
      await page.goBack()
      await row.getByText('paused').waitFor()

      await running.pauses.set('tool', 'order.check', false)
      await row.getByText('2/min').waitFor()
      await until(async () => (await row.getByRole('cell').nth(9).innerText()) === '1')
      await page.getByRole('region', { name: 'Workers' }).getByText(String(process.pid)).waitFor()
      await page.getByRole('region', { name: 'Log' }).getByText('5,000 tokens').waitFor()
      await page
        .getByRole('row', { name: 'app shop' })
        .getByText(/^[1-9]\d*\/min$/)
        .waitFor()
      await page.getByText('needs attention').waitFor()
      const spend = page.getByRole('region', { name: 'Spend' })
      const written = spend.getByRole('row', { name: 'writer' })
      await until(async () => (await written.getByRole('cell').nth(2).innerText()) === '2')
      await expectAccessible(page)
      await spend.getByLabel('By').selectOption('model')
      await spend.getByRole('row', { name: 'tidings/offline-extractive' }).waitFor()
      expect(page.url()).toContain('by=model')

      await row.getByRole('cell').nth(9).getByRole('link').click()
      await page.getByRole('row', { name: 'no such order' }).waitFor()
      expect(await page.getByRole('row').count()).toBe(1)
      expect(page.url()).toMatch(/source=%2Ftools%2Forder\.check&type=tool\.failed&since=/)
    })
  }),
)
