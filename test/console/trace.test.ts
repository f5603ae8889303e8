import { randomUUID } from 'node:crypto'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { emitId } from '../../src/bus/ids.ts'
import { agent, event, tool } from '../../src/index.ts'
import { sourceFromBus } from '../../src/replay/source.ts'
import { writeSlice } from '../../src/replay/slice-write.ts'
import { describeBrowser } from '../lib/browser.ts'
import { Pen } from '../lib/pen.ts'
import { embeddedWorld, onAnyBus } from '../lib/world.ts'
import { expectAccessible } from './lib/accessible.ts'
import { openConsole, serveApp } from './lib/console.ts'
import { longCorrelation, longTask, publishLongTask } from './lib/long-task.ts'

const asked = event('support.asked', z.object({ text: z.string() }))

function support(pen: Pen) {
  const helper = agent('helper', { input: z.string(), model: pen.model, instructions: 'Answer from the notes.' })
  const update = tool('crm.update', {
    description: 'Updates.',
    input: z.object({ id: z.string() }),
    run: () => {
      throw new Error('the field "street" is empty')
    },
  })
  const desk = agent('desk', {
    on: asked,
    async run(ctx, { text }) {
      const answer = await ctx.call(helper, text)
      await ctx.call(update, { id: 'c-77' })
      return answer
    },
  })
  return { use: [asked, helper, update, desk] }
}

await describeBrowser('the trace', () =>
  onAnyBus(world => {
    const opened = async () => {
      const pen = new Pen()
      const log = await world()
      const { running, url } = await serveApp(log, support(pen))
      const { correlationid } = await running.bus.publish({ type: 'support.asked', data: { text: 'When is it open?' } })
      return { pen, log, running, url, correlation: correlationid }
    }

    it('grows while it happens, with the text as it is written, and says why', async () => {
      const { pen, url, correlation } = await opened()
      const page = await openConsole(url, { path: 'traces' })
      const sheet = await pen.sheet()
      await page.getByRole('row', { name: /support\.asked.*1 live|When is it open/ }).click()
      const lines = page.getByRole('row')
      await lines.filter({ hasText: 'model' }).waitFor()
      sheet.write('On Sunday ', 'from ', 'ten ')
      await lines.getByText('On Sunday from').waitFor()
      sheet.write('to four.')
      sheet.end()
      await lines.filter({ hasText: 'crm.update' }).getByText('the field "street" is empty').waitFor()
      await page.getByText('2 failed').waitFor()
      expect(await lines.filter({ hasText: 'helper' }).getByText('On Sunday from ten to four.').count()).toBe(1)
      expect(page.url()).toContain(`/traces/${correlation}`)

      // Down to the tool, and what led to it.
      await page.keyboard.press('j')
      await page.keyboard.press('End')
      await page.keyboard.press('k')
      await page.keyboard.press('w')
      const why = page.getByRole('region', { name: 'Why it happened' })
      await why.getByText('It came from outside: here it began.').waitFor()
      expect(await why.getByText(/code [0-9a-f]{8}/).count()).toBeGreaterThan(0)
      await page.keyboard.press('Escape')

      // The model was asked this, by that code, and answered that.
      await lines.filter({ hasText: 'model' }).click()
      await page.getByRole('region', { name: 'Answer' }).getByText('On Sunday from ten to four.').waitFor()
      await page.keyboard.press('w')
      await why.getByText('Answer from the notes.').waitFor()
      expect(await why.getByText('When is it open?').count()).toBeGreaterThan(0)
      await expectAccessible(page)
      await page.keyboard.press('Escape')

      await page.getByRole('button', { name: /Failed only/ }).click()
      await lines.filter({ hasText: 'model' }).waitFor({ state: 'detached' })
      expect(page.url()).toContain('failed=1')
      await page.reload()
      await lines.filter({ hasText: 'crm.update' }).waitFor()
      expect(await lines.filter({ hasText: 'model' }).count()).toBe(0)
    })

    // The bus has no part in it.
    if (world === embeddedWorld)
      it('is the same of a slice, without a server', async () => {
        const { pen, log, running, url, correlation } = await opened()
        const sheet = await pen.sheet()
        sheet.write('On Sunday.')
        sheet.end()
        const page = await openConsole(url, { path: `traces/${correlation}` })
        await page.getByText('2 failed').waitFor()
        const names = () => page.getByRole('row').locator('b').allInnerTexts()
        const before = await names()

        const file = join(log.place.home, `${randomUUID()}.jsonl.gz`)
        await writeSlice(sourceFromBus(running.bus, { correlation }), file)
        await page.goto(`${url}/console/offline`)
        await page.getByText('Drop an exported slice here').waitFor()
        await page.context().setOffline(true)
        await page.setInputFiles('input[type=file]', file)
        await page.getByRole('row').filter({ hasText: 'support.asked' }).waitFor()
        await expectAccessible(page)
        await page.getByRole('row').filter({ hasText: 'support.asked' }).click()
        await page.getByText('2 failed').waitFor()
        expect(await names()).toEqual(before)
        await page.getByRole('row').filter({ hasText: 'model' }).click()
        await page.getByRole('tab', { name: 'Why' }).click()
        await page.getByText('Answer from the notes.').waitFor()

        await page.goBack()
        await truncate(file, 200)
        await page.setInputFiles('input[type=file]', file)
        await page.getByText(/the file is truncated or damaged/).waitFor()
      })
  }),
)

await describeBrowser('a task of 10,000 turns', () => {
  it('is a trace of 30,000 events and a list of turns, and any of them can be gone to', async () => {
    const { running, url } = await serveApp(await embeddedWorld(), { use: [] })
    await publishLongTask(running.bus, 10_000)
    const last = emitId(longTask, 10_000, 0)
    const page = await openConsole(url, { path: `traces/${longCorrelation}?at=${last}` })
    await page.getByText('events 30,001').waitFor()
    const line = page.getByRole('row').filter({ hasText: '{"note":10000}' })
    await line.waitFor()
    expect(await line.getAttribute('data-active')).toBe('true')
    expect(await page.getByRole('row').count()).toBeLessThan(100)
    await page.getByLabel('Text').fill('"note":9998')
    await page.getByRole('row').filter({ hasText: '{"note":9998}' }).waitFor()
    await line.waitFor({ state: 'detached' })

    await page.goto(`${url}/console/tasks/${longTask}?tab=turns`)
    await page.getByRole('region', { name: 'Turn 10000' }).waitFor()
    expect(await page.getByRole('region', { name: /^Turn/ }).count()).toBeLessThan(100)
    await page.goto(`${url}/console/tasks/${longTask}?tab=turns&turn=5000`)
    await page.getByRole('region', { name: 'Turn 5000' }).getByText('note 4999').first().waitFor()
  })
})
