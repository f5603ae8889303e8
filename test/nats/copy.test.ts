import { expect, onTestFinished, test } from 'vitest'
import { copyLog } from '../../src/bus/copy/copy-log.ts'
import type { Driver, DeliveryOutcome } from '../../src/bus/driver.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { entries, emitted, hour, newTask, related, turn } from '../../src/testing/conformance/entries.ts'
import { CopyableMemoryDriver } from '../../src/testing/memory-transfer.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { freePort } from '../../src/testing/ports.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { dataFolder, server } from './lib/broker.ts'
import { guarded, urlOf, violations } from './lib/guarded.ts'

const copy = (from: Driver, to: Driver, signal?: AbortSignal) =>
  copyLog({
    from: { driver: from, name: 'old' },
    to: { driver: to, name: 'new' },
    settleMs: 0,
    ...(signal && { signal }),
  })

const idsOn = async (driver: Driver) => (await collect(driver.read({}))).map(({ event }) => event.id).toSorted()

const because = { code: 'E_INTERNAL', message: 'no', next: 'Wait.' } as const
const outcomes: readonly DeliveryOutcome[] = [
  { kind: 'done' },
  { kind: 'discard', reason: because },
  { kind: 'park', reason: because },
  { kind: 'retry', after: hour, reason: because },
]

/** A log with something of every kind. */
async function oldLog(): Promise<CopyableMemoryDriver> {
  const log = new MemoryLog()
  const driver = new CopyableMemoryDriver(log)
  let got = 0
  await driver.subscribe({
    group: 'jobs',
    mode: 'shared',
    filter: [{ types: ['job.>'] }],
    from: 'now',
    maxInFlight: 10,
    onDelivery: delivery => void (outcomes[got++] && delivery.settle(outcomes[got - 1]!)),
  })
  await driver.subscribe({ group: 'tasks', mode: 'sharded', filter: [{ types: ['task.input'] }], from: 'now', maxInFlight: 1, onDelivery() {} }) // biome-ignore format: one line
  await driver.publish(entries(8))
  await until(() => got === 8)
  const [open, ended] = [newTask(), newTask()]
  await driver.commit(turn(open, 0, { events: [emitted(open, 1, 0)], wake: Date.now() + hour, snapshot: 'state' }))
  await driver.commit(turn(ended, 0, { end: true }))
  await driver.putDocument('with/parts', '{}', 0)
  await driver.blobs.put('default', Buffer.from('bytes'))
  await driver.close()
  return new CopyableMemoryDriver(log)
}

async function open(url: string): Promise<Driver> {
  const driver = await openNats({ url, leaseMs: 2_000 })
  onTestFinished(() => driver.close())
  return driver
}

describeNatsServer('a copy', () => {
  test.for([1, 3])(
    'needs the permissions of agents, on both sides, also when it goes on: partitions=%i',
    async partitions => {
      const nats = await guarded({ partitions })
      const url = `${urlOf(nats, 'agents')}/tidings?timeout=3000&partitions=${partitions}`
      const [source, target] = [await oldLog(), await open(url)]
      const stop = new AbortController()
      // In the middle of the groups.
      const interrupted = new Proxy(source, {
        get: (driver, name) =>
          name === 'transfer'
            ? { ...driver.transfer, exportRecords: () => aborting(driver.transfer.exportRecords(), 'deferred', stop) }
            : Reflect.get(driver, name),
      })
      await expect(copy(interrupted, target, stop.signal)).rejects.toThrow()
      await copy(source, target)
      const next = new CopyableMemoryDriver(new MemoryLog())
      await copy(target, next)
      expect(await idsOn(next)).toEqual(await idsOn(source))
      expect(await violations(nats)).toEqual([])
    },
  )

  test('into a server without room ends with the reason, and goes on when there is room', async () => {
    const [dataDir, port] = [await dataFolder(), await freePort()]
    const room = (bytes: number) => `jetstream { store_dir: ${JSON.stringify(dataDir)}, max_file_store: ${bytes} }`
    const small = await server({ dataDir, port, config: room(3_000_000) })
    const source = new CopyableMemoryDriver(new MemoryLog())
    for (let i = 0; i < 10; i++) await source.publish(related(100, n => ({ data: { n, text: 'x'.repeat(7_000) } })))
    const target = await open(`${small.url}/log?timeout=2000`)
    await expect(copy(source, target)).rejects.toMatchObject({
      code: 'E_LOG_UNAVAILABLE',
      message: expect.stringMatching(/insufficient|resources|space|limit|maximum/),
    })
    await small.stop()
    const large = await server({ dataDir, port, config: room(40_000_000) })
    const again = await open(`${large.url}/log?timeout=2000`)
    expect(await copy(source, again)).toMatchObject({ events: 1_000 })
    expect(await idsOn(again)).toEqual(await idsOn(source))
  })
})

async function* aborting<T extends { readonly kind: string }>(
  records: AsyncIterable<T>,
  at: string,
  stop: AbortController,
) {
  for await (const record of records) {
    if (record.kind === at) stop.abort()
    yield record
  }
}
