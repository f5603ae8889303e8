import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished, test, vi } from 'vitest'
import type { Trigger } from '../../src/index.ts'
import { openBus } from '../../src/runtime/environment.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { launch } from '../../test/lib/cli.ts'
import { onAnyBus, type World } from '../../test/lib/world.ts'
import { feed } from './feed.ts'
import { openShop } from './shop.ts'

const order = promisify(execFile)

async function openShopOf({ place }: World) {
  const path = join(place.home, 'shop.db')
  vi.stubEnv('SHOP', path)
  const shop = openShop(path)
  onTestFinished(() => {
    vi.unstubAllEnvs()
    shop.close()
  })
  return shop
}

onAnyBus(world => {
  it('brings every change of the database to the agents, once', async () => {
    const log = await world()
    const shop = await openShopOf(log)
    shop.exec("INSERT INTO orders VALUES (7, 'rope', 'open')")
    const shopApp = launch(log.place, ['run', join(import.meta.dirname, 'app.ts'), '--only', 'agents,triggers'])
    onTestFinished(async () => {
      shopApp.kill()
      await once(shopApp, 'exit')
    })
    const bus = await openBus(log.place)
    onTestFinished(() => bus.driver.close())
    shop.exec("UPDATE orders SET state = 'paid'")
    await order(process.execPath, [join(import.meta.dirname, 'order.ts'), 'lamp'])
    const wanted = async () => await collect(bus.read({ filter: [{ types: ['parcel.wanted'] }] }))
    await until(async () => (await wanted()).length === 2, { within: 15_000 })
    expect((await wanted()).map(({ event }) => event.data)).toEqual([
      { order: 7, item: 'rope' },
      { order: 8, item: 'lamp' },
    ])
    await until(() => shop.prepare('SELECT * FROM changes').all().length === 0)
  })

  it('loses and doubles nothing where it ends between the event and its taking away', async () => {
    const log = await world()
    const shop = await openShopOf(log)
    const work = (trigger: Trigger) => log.worker({ use: [trigger] }, { only: ['triggers'] })
    shop.exec(
      "INSERT INTO orders VALUES (1, 'lamp', 'paid'); CREATE TRIGGER full BEFORE DELETE ON changes BEGIN SELECT raise(FAIL, 'disk full'); END",
    )
    const warned = new Promise(resolve => process.once('warning', resolve))
    const first = await work(feed('orders', shop))
    expect(await warned).toMatchObject({ message: 'disk full' })
    await first.stop()
    shop.exec("DROP TRIGGER full; UPDATE orders SET state = 'sent'")
    const { bus } = await work(feed('orders', shop))
    await until(() => shop.prepare('SELECT * FROM changes').all().length === 0)
    expect((await collect(bus.read({}))).map(({ event }) => (event.data as { state: string }).state)).toEqual([
      'paid',
      'sent',
    ])
  })
})

test('the documentation shows this trigger as it is', () => {
  const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8')
  const code = read('feed.ts')
  expect(read('../../docs/triggers.md')).toContain(code.slice(code.indexOf('export const feed')).trim())
})
