import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import { parseId, taskId } from '../../src/bus/ids.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { answerRequest, asked } from '../lib/approvals.ts'
import { describeBrowser } from '../lib/browser.ts'
import { everything, keyFor, policyFile } from '../lib/identity.ts'
import { embeddedWorld, onAnyBus, type World } from '../lib/world.ts'
import { expectAccessible } from './lib/accessible.ts'
import { openConsole, serveApp } from './lib/console.ts'
import { shelf, shop } from './lib/act-app.ts'

/* People answer what waits for them, and act on what failed. */

const module = new URL('lib/act-app.ts', import.meta.url).href
const roles = { all: everything, guest: { read: ['>'] } }

beforeEach(() => {
  shelf.isBroken = false
  vi.unstubAllEnvs()
})

await describeBrowser('a person at the console', () =>
  onAnyBus(world => {
    const opened = async (log: World) => {
      const { running, url } = await serveApp(log, shop, { module, policy: await policyFile({ roles }) })
      const open = async (path: string, user = 'ann', role = 'all', theme?: 'light') =>
        openConsole(url, { path, key: await keyFor(running.bus, user, role), ...(theme && { theme }) })
      return { running, open }
    }
    const complain = async ({ bus }: RunningApp, order: string) => {
      const { correlationid } = await bus.publish({
        type: 'order.complained',
        data: { order, amount: 20, text: 'broken' },
      })
      return (await asked(bus, correlationid))[0]!
    }
    const answers = async ({ bus }: RunningApp) =>
      (await collect(bus.read({ filter: [{ types: ['approval.granted', 'approval.denied'] }] }))).map(
        ({ event }) => event,
      )

    it('approves and denies by keyboard, one and many, and hears of the others', async () => {
      const { running, open } = await opened(await world())
      const requests = [await complain(running, 'A1'), await complain(running, 'A2'), await complain(running, 'A3')]
      const page = await open(`inbox?at=${encodeURIComponent(requests[1]!.id)}`)
      const details = page.getByRole('complementary')
      await details.getByText('Sorry about order A2: broken').waitFor()
      expect(await details.getByText(requests[1]!.data.hash).count()).toBe(1)
      await page.getByLabel('3 waiting', { exact: true }).waitFor()
      // A browser has six connections to a server, over all of its tabs: none is kept for a stream.
      const streams: string[] = []
      page.on('request', request => void (request.url().includes('/events/stream') && streams.push(request.url())))
      await page.reload()
      await details.getByText('Sorry about order A2: broken').waitFor()
      await expectAccessible(page)

      // An answer needs a second key, because nobody can take it back.
      await page.keyboard.press('a')
      await page.getByRole('dialog', { name: 'Approve order.refund' }).waitFor()
      await page.keyboard.type('Go ahead.')
      await page.keyboard.press('Enter')
      await page.getByText('Approved order.refund').waitFor()
      await page.getByText('2 waiting for you').waitFor()
      await until(async () => (await answers(running)).length === 1)
      expect((await answers(running))[0]).toMatchObject({
        type: 'approval.granted', call: requests[1]!.id, data: { by: 'ann', comment: 'Go ahead.', hash: requests[1]!.data.hash },
      }) // biome-ignore format: one object

      await answerRequest(running.bus, 'deny', requests[0]!, 'bob', { comment: 'No.' })
      await page.getByText('bob denied order.refund').waitFor()
      await page.getByText('1 waiting for you').waitFor()

      await complain(running, 'A4')
      await page.getByText('2 waiting for you').waitFor()
      await page.getByTitle('Select (x)').first().click()
      await page.getByRole('button', { name: 'All 2' }).click()
      await page.keyboard.press('d')
      await page.getByRole('button', { name: 'Deny 2' }).click()
      await page.getByText('Nothing waits for you').waitFor()
      expect(streams).toEqual([])
      expect((await answers(running)).map(({ type }) => type).toSorted()).toEqual([
        'approval.denied', 'approval.denied', 'approval.denied', 'approval.granted',
      ]) // biome-ignore format: one list
    })

    if (world === embeddedWorld)
      it('fills in the fields of a request', async () => {
        const { running, open } = await opened(await world())
        const { correlationid } = await running.bus.publish({ type: 'order.packed', data: null })
        const [request] = await asked(running.bus, correlationid)
        const page = await open(`inbox?at=${encodeURIComponent(request!.id)}`)
        await page.getByRole('complementary').getByRole('button', { name: 'Approve' }).click()
        const dialog = page.getByRole('dialog', { name: 'Approve delivery' })
        await dialog.getByLabel('day').selectOption('Monday')
        await dialog.getByRole('button', { name: 'Approve' }).click()
        await page.getByText('Nothing waits for you').waitFor()
        expect(await answers(running)).toEqual([expect.objectContaining({ data: expect.objectContaining({ content: { day: 'Monday' } }) })]) // biome-ignore format: one line
      })

    // The bus has no part in it.
    if (world === embeddedWorld)
      it('sees what happens in a gateway that another server has mounted, without sockets', async () => {
        const { running } = await opened(await world())
        const server = createServer(getRequestListener(running.fetch) as RequestListener).listen(0, '127.0.0.1')
        onTestFinished(() => server.close().closeAllConnections())
        await once(server, 'listening')
        const key = await keyFor(running.bus, 'ann')
        const page = await openConsole(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
          path: 'inbox',
          key,
        })
        await page.getByText('Nothing waits for you').waitFor()
        await complain(running, 'A1')
        await page.getByText('1 waiting for you').waitFor()
      })

    it('retries what failed after it saw the number, and finds what came of it', async () => {
      const { running, open } = await opened(await world())
      shelf.isBroken = true
      await running.bus.publishAll(
        ['tea', 'jam', 'cups'].map(goods => ({ type: 'goods.wanted', data: { goods, count: 1 } })),
      )
      const page = await open('attention', 'ann', 'all', 'light')
      await page.getByText('3 need a person').waitFor()
      await page.getByRole('grid').focus()
      await page.keyboard.press('j')
      const details = page.getByRole('complementary')
      await details.getByText(/does not answer/).waitFor()
      await expectAccessible(page)

      shelf.isBroken = false
      await details.getByRole('button', { name: 'Retry', exact: true }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByText('3 tasks match').waitFor()
      expect(await ended(running, 'completed')).toBe(0)
      await dialog.getByRole('button', { name: 'Retry 3 tasks' }).click()
      await dialog.getByText('3 retried').waitFor()
      expect(await dialog.getByRole('link', { name: /^Trace/ }).count()).toBe(3)
      await until(async () => (await ended(running, 'completed')) === 3)
      await dialog.getByRole('link', { name: 'Open the operation' }).click()
      await page.getByRole('row', { name: /Retry tasks of buyer with E_TOOL_THREW/ }).waitFor()
      await page.getByText('given by').waitFor()
      await expectAccessible(page)

      const guest = await open('attention', 'eve', 'guest')
      await guest.getByText('"eve" may not operate').waitFor()
    })

    it('forks a turn with another input, and reads where changed code decides differently', async () => {
      const { running, open } = await opened(await world())
      const { correlationid, id } = await running.bus.publish({
        type: 'agent.invoke', target: 'helper', data: { input: 'Are you open on Sunday?' },
      }) // biome-ignore format: one line
      const request = await complain(running, 'A1')
      await until(async () => (await ended(running, 'completed')) === 1)
      const page = await open(`tasks/${taskId(correlationid, 'helper', id)}?tab=turns&turn=1`)
      await page.getByRole('region', { name: 'Turn 1' }).getByRole('button', { name: 'Fork' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByRole('textbox', { name: 'input' }).fill('Are you open on Monday?')
      await dialog.locator('mark').getByText('Sunday').waitFor()
      await expectAccessible(page)
      await dialog.getByRole('button', { name: 'Fork with 1 changed input' }).click()
      await page.waitForURL(/traces/)
      await until(async () => (await ended(running, 'completed')) === 2)
      await page.getByText('We read: Are you open on Monday?').first().waitFor()

      vi.stubEnv('ACT_WORDING', 'We are sorry about')
      const clerk = await open(`tasks/${parseId(request.id)!.task}`)
      await clerk.getByRole('button', { name: 'Replay' }).click()
      await clerk.getByRole('button', { name: 'Replay 1 task' }).click()
      await clerk.getByText('1 replayed, 0 as recorded, 1 differ').waitFor()
      const divergence = clerk.getByRole('article', { name: /clerk: tool.invoke order.refund changed/ })
      expect(await divergence.locator('mark').allInnerTexts()).toEqual(['Sorry', 'We are sorry'])
    })
  }),
)

const ended = async ({ bus }: RunningApp, how: string) =>
  (await collect(bus.read({ filter: [{ types: [`agent.task.${how}`] }] }))).length
