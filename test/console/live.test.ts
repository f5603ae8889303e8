import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeBrowser } from '../lib/browser.ts'
import { GatewayProcess } from '../lib/gateway-process.ts'
import { onAnyBus } from '../lib/world.ts'
import { openConsole } from './lib/console.ts'

const clerk = agent('clerk', {
  on: 'order.placed',
  run: (ctx, { order, broken }: { order: number; broken?: boolean }) => {
    if (broken) throw new Error(`order ${order} is broken`)
    ctx.emit({ type: 'order.booked', data: { order } })
  },
})

const rows = (page: Page) => page.getByRole('row')
const arrived = (page: Page) => page.locator('[data-arrived]').getAttribute('data-arrived').then(Number)

await describeBrowser('the live view', () =>
  onAnyBus(world => {
    it('follows, pauses when a person scrolls, filters, opens events, and misses nothing over a cut network and a killed gateway', async () => {
      const log = await world()
      const worker = await log.worker({ use: [clerk] })
      const gateway = await GatewayProcess.open(log.place)
      const publish = (from: number, count: number, more: object = {}) =>
        worker.bus.publishAll(
          Array.from({ length: count }, (_, i) => ({ type: 'order.placed', data: { order: from + i, ...more } })),
        )
      const booked = async (count: number) =>
        (await collect(worker.bus.read({ filter: [{ types: ['order.booked'] }] }))).length === count || undefined
      await publish(0, 40)
      await until(() => booked(40))
      const page = await openConsole(gateway.url, { path: 'live' })
      await rows(page).first().waitFor()

      // Of each order three events: placed, booked, and that the task has completed. It opens at the newest event, and follows.
      await publish(100, 5)
      await page.getByRole('row', { name: '"order":104' }).first().waitFor()
      await until(async () => (await arrived(page)) === 15 || undefined)

      // A person who scrolls up is left alone.
      await page.getByRole('grid').hover()
      await page.mouse.wheel(0, -800)
      await page.getByRole('button', { name: 'Paused: follow again' }).waitFor()
      const [top] = await rows(page).allInnerTexts()
      await publish(200, 29)
      await page.getByRole('button', { name: '87 new: follow again' }).waitFor()
      expect((await rows(page).allInnerTexts())[0]).toBe(top)
      await page.getByRole('button', { name: 'follow again' }).click()
      await publish(229, 1)
      await page.getByRole('row', { name: '"order":229' }).first().waitFor()

      // Nothing is missing after the network was cut, and after the gateway was killed.
      await page.context().setOffline(true)
      await page.getByText('This device is offline.').waitFor()
      await publish(250, 5)
      await page.context().setOffline(false)
      await until(async () => (await arrived(page)) === 120 || undefined)
      await gateway.kill()
      await publish(300, 20)
      await gateway.start()
      await publish(400, 20)
      await until(async () => (await arrived(page)) === 240 || undefined)

      // Filters are in the address; several events are open at once, with their causes and effects.
      await publish(500, 1, { broken: true })
      await page.getByRole('button', { name: 'Failed only' }).click()
      await page.getByRole('row', { name: 'order 500 is broken' }).click()
      await page.getByRole('tree', { name: 'Payload' }).getByText('order 500 is broken').waitFor()
      await page.getByRole('tab', { name: 'Attributes' }).click()
      await page
        .getByRole('button', { name: /:0$|^[\w-]+$/ })
        .first()
        .waitFor()
      expect(new URL(page.url()).search).toMatch(/failed=1&open=/)
      await page.reload()
      await page.getByRole('row', { name: 'order 500 is broken' }).waitFor()
      expect(await rows(page).count()).toBe(1)
      await page.getByRole('button', { name: 'Failed only' }).click()
      await page.getByLabel('Regular expression').fill('/"order":5\\d\\d/')
      await until(async () => (await rows(page).count()) === 1 || undefined)
    })
  }),
)
