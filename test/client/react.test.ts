import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { buildPage, serve } from '../../examples/chat/server.ts'
import { agent } from '../../src/agents/agent.ts'
import { model } from '../../src/models/model.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeBrowser, openPage } from '../lib/browser.ts'
import { Pen } from '../lib/pen.ts'
import { onAnyBus } from '../lib/world.ts'

/* The client and the hooks in a real browser. */

const built = buildPage(join(import.meta.dirname, 'page'))

await describeBrowser('in a browser', () =>
  onAnyBus(world => {
    it('the hooks show a task and events, over a reload and while the network is away', async () => {
      const pen = new Pen()
      const writer = agent('writer', { model: model(pen.model), instructions: 'Write.' })
      const running = await (await world()).worker({ use: [writer] })
      const { url, close } = await serve(running, await built, 0)
      onTestFinished(close)
      const page = await openPage()
      await page.goto(url)
      const streams: string[] = []
      page.on('request', request => void (/tasks\/.*\/stream/.test(request.url()) && streams.push(request.url())))
      const click = (name: string) => page.getByRole('button', { name }).click()
      const shows = (id: string, text: string) =>
        until(async () => expect(await page.locator(`#${id}`).innerText()).toBe(text) ?? true)

      await shows('status', 'idle')
      await click('Ask')
      const sheet = await pen.sheet()
      sheet.write('Once upon ')
      await shows('text', 'Once upon')
      await click('Keep')
      sheet.write('a ')
      await shows('text', 'Once upon a')
      const opened = streams.length
      await page.reload()
      await shows('text', 'Once upon a')
      await shows('status', 'running')

      await page.context().setOffline(true)
      for (let n = 0; n < 4; n++) await click('Count')
      await page.reload().catch(() => {})
      await page.context().setOffline(false)
      await page.goto(url)
      await until(async () => (await page.locator('#events').innerText()) !== '')
      await shows('events', '0,0,0')
      expect(await collect(running.bus.read({ filter: [{ types: ['count.made'] }] }))).toHaveLength(4)
      sheet.write('time.')
      sheet.end()
      await shows('text', 'Once upon a time.')
      await shows('output', 'Once upon a time.')
      await shows('status', 'completed')

      await click('Ask')
      const second = await pen.sheet()
      second.write('It was ')
      await shows('text', 'It was')
      await click('Say')
      await click('Cancel')
      await shows('status', 'cancelled')
      await shows('error', 'E_TASK_CANCELLED')
      second.end()
      expect(opened).toBe(1)
    })
  }),
)
