import { expect } from 'vitest'
import { beginning } from '../../bus/cursor.ts'
import type { Delivery, Driver } from '../../bus/driver.ts'
import { collect } from '../wait.ts'
import { entries, entry, newTask, turn } from './entries.ts'
import type { Cases } from './world.ts'

const operations: Record<string, (driver: Driver) => unknown> = {
  publish: driver => driver.publish([entry()]),
  commit: driver => driver.commit(turn(newTask(), 0)),
  subscribe: driver =>
    driver.subscribe({
      group: 'jobs',
      filter: [{ types: ['>'] }],
      mode: 'shared',
      maxInFlight: 1,
      from: 'now',
      onDelivery: () => {},
    }),
  provision: driver => driver.createGroup({ group: 'jobs', filter: [{ types: ['>'] }], mode: 'shared', from: 'now' }),
  get: driver => driver.get('id', 'correlation'),
  isSettled: driver => driver.isCallSettled('id'),
  claim: driver => driver.claim({ event: entry().event } as Delivery, entry()),
  read: driver => collect(driver.read({})),
  follow: driver => collect(driver.follow(beginning, undefined, new AbortController().signal)),
  head: driver => driver.head(),
  horizon: driver => driver.horizon(),
  journal: driver => driver.journal(newTask()),
  'blobs.put': driver => driver.blobs!.put('acme', new Uint8Array(1)),
  'blobs.get': driver => driver.blobs!.get('acme', `sha256-${'0'.repeat(64)}`),
  getDocument: driver => driver.getDocument('key'),
  putDocument: driver => driver.putDocument('key', 'value', 0),
  groups: driver => driver.listGroups(),
  attention: driver => collect(driver.listDeferred()),
  redeliver: driver => driver.redeliver({ key: 'key' }),
  discard: driver => driver.discard('1'),
  missedWakes: driver => collect(driver.missedWakes(Date.now())),
  janitor: driver => driver.purge({ maxAgeMs: 1, maxLag: 1 }),
}

export const lifecycle: Cases = {
  'the number of shards is that of the log, for every member and after a restart': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    expect(driver.shards).toBeGreaterThan(0)
    expect(Number.isInteger(driver.shards)).toBe(true)
    expect(other.shards).toBe(driver.shards)
    expect((await world.reopen(driver)).shards).toBe(other.shards)
  },

  'durability reports what a publish survives, and by which settings': async world => {
    const driver = await world.open()
    const { survives, detail } = await driver.durability()
    expect(['nothing', 'process', 'power']).toContain(survives)
    expect(detail).not.toBe('')
  },

  'closing twice, and twice at once, is closing once': async world => {
    const driver = await world.open()
    const consumer = (await world.join(driver)).consumer
    await driver.publish(entries(3))
    await Promise.all([driver.close(), driver.close()])
    await driver.close()
    await consumer.close()
  },

  'closing waits for what was called before it': async world => {
    const driver = await world.open()
    const sent = entries(50)
    const published = Promise.all(sent.map(one => driver.publish([one])))
    const closed = driver.close()
    await published
    await closed
    expect(await collect((await world.open()).read({}))).toHaveLength(50)
  },

  'after closing, what is asked of the driver rejects with E_BUS_CLOSED': async world => {
    const driver = await world.open()
    await driver.close()
    const answers: Record<string, unknown> = {}
    for (const [name, operation] of Object.entries(operations))
      answers[name] = await (async () => operation(driver))().then(
        () => 'resolved',
        error => error.code ?? error,
      )
    expect(answers).toEqual(Object.fromEntries(Object.keys(operations).map(name => [name, 'E_BUS_CLOSED'])))
  },

  'a signal after closing is dropped, and listening does no harm': async world => {
    const driver = await world.open()
    await driver.close()
    driver.sendSignal(entry().event)
    driver.onSignal(() => {})()
  },

  'a member that closes takes nothing from the others': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    await driver.publish([entry()])
    await driver.close()
    await other.publish([entry()])
    expect(await collect(other.read({}))).toHaveLength(2)
  },

  'a log is independent of every other': async world => {
    const driver = await world.open()
    expect(await driver.head()).toBe(beginning)
    expect(await driver.listGroups()).toEqual([])
    expect(await collect(driver.listDeferred())).toEqual([])
    expect(await collect(driver.missedWakes(Number.MAX_SAFE_INTEGER))).toEqual([])
  },
}
