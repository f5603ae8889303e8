import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { agent, approval } from '../../src/index.ts'
import { taskId } from '../../src/bus/ids.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeBrowser } from '../lib/browser.ts'
import { GatewayProcess } from '../lib/gateway-process.ts'
import { everything, keyFor, policyFile } from '../lib/identity.ts'
import { describeNats } from '../lib/nats.ts'
import { natsWorld } from '../lib/world.ts'
import { openConsole } from './lib/console.ts'

/* Views that stay open while the network is cut, and while the gateway is gone. */

const editor = approval<object>('letter.send')
const press = agent('press', {
  on: 'letter.written',
  run: (ctx, letter: object) => ctx.call(editor, letter),
})
/** Each event is one more turn of its task. */
const diary = agent('diary', {
  on: 'diary.begun',
  waitsFor: ['diary.continued'],
  async run(ctx) {
    for (;;) await ctx.waitFor('diary.continued')
  },
})

// The live view does the same on both buses.
await describeBrowser('views that stay open', () =>
  describeNats('on nats', () => {
    it('miss nothing while the network is cut, and after the gateway was killed', async () => {
      const log = await natsWorld()
      const { bus } = await log.worker({ use: [press, diary] })
      const policy = await policyFile({ roles: { all: everything } })
      const gateway = await GatewayProcess.open({ ...log.place, policy })
      const { url } = gateway
      const { correlationid, id } = await bus.publish({ type: 'diary.begun', data: {} })
      let rounds = 0
      const round = () => {
        rounds++
        return bus.publishAll([
          { type: 'letter.written', correlationid, data: { text: `letter ${rounds}` } },
          { type: 'diary.continued', correlationid, data: { text: `page ${rounds}` } },
        ])
      }
      const published = async () =>
        (await collect(bus.read({}))).filter(({ event }) => event.type !== 'task.turn').length

      const live = await openConsole(url, { path: 'live', key: await keyFor(bus, 'ann') })
      await live.getByRole('row', { name: 'diary.begun' }).waitFor()
      await until(async () => (await collect(bus.read({ filter: [{ types: ['task.awaits'] }] }))).length === 1)
      const before = await published()
      const open = async (path: string) => {
        const page = await live.context().newPage()
        await page.goto(`${url}/console/${path}`)
        return page
      }
      const paths = [`traces/${correlationid}`, 'tasks', 'inbox', `tasks/${taskId(correlationid, 'diary', id)}`]
      const [trace, tasks, inbox, task] = (await Promise.all(paths.map(open))) as [Page, Page, Page, Page]
      const all = [live, trace, tasks, inbox, task]
      await inbox.getByText('Nothing waits for you').waitFor()
      const current = async () => {
        await inbox.getByText(`${rounds} waiting for you`).waitFor()
        await task.getByText(`page ${rounds}`, { exact: true }).waitFor()
        const lines = trace.getByRole('row').filter({ hasText: 'letter.send' })
        await until(async () => (await lines.count()) === rounds)
        const rows = tasks.getByRole('grid', { name: /^Tasks/ }).getByRole('row')
        await until(async () => (await rows.count()) === rounds + 1)
        const arrived = live.locator('[data-arrived]')
        await until(async () => Number(await arrived.getAttribute('data-arrived')) === (await published()) - before)
      }
      await round()
      await current()

      await live.context().setOffline(true)
      await Promise.all(all.map(page => page.getByText('This device is offline.').waitFor()))
      await round()
      await live.context().setOffline(false)
      await Promise.all(all.map(page => page.getByText('This device is offline.').waitFor({ state: 'detached' })))
      await current()

      await gateway.kill()
      await Promise.all(all.map(page => page.getByText('The gateway does not answer.').waitFor()))
      await round()
      await gateway.start()
      await current()
      await Promise.all(all.map(page => page.getByText('What you see may be old').waitFor({ state: 'detached' })))
      await round()
      await current()
      expect(rounds).toBe(4)
    })
  }),
)
