import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { LanguageModelV4 } from '@ai-sdk/provider'
import { expect, it, onTestFinished } from 'vitest'
import { describeBrowser, openPage } from '../../test/lib/browser.ts'
import { Pen } from '../../test/lib/pen.ts'
import { onAnyBus } from '../../test/lib/world.ts'
import { offlineModel } from '../../src/index.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { shopWith } from './app.ts'
import { buildPage, serve } from './server.ts'

/* The page in a real browser, as a newcomer uses it. */

const built = buildPage()

it('starts by one command', async () => {
  const home = await mkdtemp(join(tmpdir(), 'tidings-chat-'))
  const env = { ...process.env, TIDINGS_HOME: home, TIDINGS_BUS: '', TIDINGS_MODEL: '', PORT: '0' }
  const main = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], { env })
  onTestFinished(() => rm(home, { recursive: true, maxRetries: 5 }))
  const ended = once(main, 'exit')
  onTestFinished(() => void main.kill('SIGKILL'))
  let url: string | undefined
  for await (const line of createInterface(main.stdout)) if ((url = /http:\S+/.exec(line)?.[0])) break
  const page = await (await fetch(url!)).text()
  expect(page).toContain('<title>The shop</title>')
  expect((await fetch(new URL(/src="([^"]+)"/.exec(page)![1]!, url))).headers.get('content-type')).toMatch('javascript')
  expect(await (await fetch(`${url}/ui/chat/shop-assistant/mine`)).json()).toEqual({ messages: [] })
  main.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})

await describeBrowser('in a browser', () =>
  onAnyBus(world => {
    const opened = async (model: LanguageModelV4, width?: number) => {
      const { agents, tools } = shopWith(model)
      const running = await (await world()).worker({ name: 'chat', use: [...agents, ...tools] })
      const { url, close } = await serve(running, await built, 0)
      onTestFinished(close)
      const page = await openPage(width)
      await page.goto(url)
      const ask = async (text: string) => {
        await page.getByLabel('Message').fill(text)
        await page.getByRole('button', { name: 'Send' }).click()
      }
      const answers = () => page.locator('li.assistant > p').allInnerTexts()
      const results = async () =>
        (await collect(running.bus.read({ filter: [{ types: ['model.result'] }] }))).map(
          ({ event }) => (event.data as { text: string }).text,
        )
      return { page, ask, answers, results, running }
    }

    it('shows an answer as it is written, over a reload, once; Stop cancels', async () => {
      const pen = new Pen()
      const { page, ask, answers, results, running } = await opened(pen.model)
      await ask('When are you open?')
      const sheet = await pen.sheet()
      sheet.write('On Sunday ')
      await until(async () => (await answers()).join() === 'On Sunday ')
      await page.reload()
      await until(async () => (await answers()).join() === 'On Sunday ')
      sheet.write('from noon ', 'to five.')
      sheet.end()
      await until(async () => (await answers()).join() === 'On Sunday from noon to five.')
      await until(async () => (await results()).join() === (await answers()).join())
      await page.reload()
      await until(async () => (await answers()).join() === 'On Sunday from noon to five.')

      await ask('And on Monday?')
      const second = await pen.sheet()
      second.write('On Monday ')
      await until(async () => (await answers()).length === 2)
      await page.getByRole('button', { name: 'Stop' }).click()
      await page.getByRole('button', { name: 'Send' }).waitFor()
      await until(async () =>
        (await collect(running.bus.read({ filter: [{ types: ['agent.task.cancelled'] }] }))).at(0),
      )
      expect(await page.locator('li.user').count()).toBe(2)
      second.end()
    })

    it('asks for approval on a phone, and goes on in the same answer', async () => {
      const { page, ask, answers } = await opened(offlineModel({ msPerWord: 1 }), 400)
      await ask('Please refund my order A-17.')
      await page.getByRole('button', { name: 'Approve' }).click()
      await until(async () => (await answers()).some(text => text.includes('is on its way')))
      expect(await page.locator('li.assistant').count()).toBe(1)
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(400)
    })
  }),
)
