import { setTimeout } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import type { Delivery, Driver, Subscription } from '../../src/bus/driver.ts'
import { partitionOf, shardOf } from '../../src/bus/ids.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { startProxy } from '../../src/testing/tcp-proxy.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { entry, server } from './lib/broker.ts'
import { maxAtOnce, Member, now, type Run } from './lib/slots-member.ts'

const leaseMs = 1_000
const shards = 8
const done = { kind: 'done' } as const

async function open(url: string, options: { partitions?: number; leaseMs?: number } = {}): Promise<Driver> {
  const driver = await openNats({ url: `${url}/log`, shards, partitions: 3, leaseMs, ...options })
  onTestFinished(() => driver.close())
  return driver
}

interface JoinOptions extends Partial<Subscription> {
  /** How long each delivery takes, in ms, or a promise for its end. Never by default. */
  readonly work?: (delivery: Delivery) => Promise<unknown>
}

/** A member of this process that records what it runs. */
async function joined(driver: Driver, { work = () => new Promise(() => {}), ...options }: JoinOptions) {
  const runs: (Run & { readonly attempt: number })[] = []
  const run = async (delivery: Delivery) => {
    const current = { id: delivery.event.id, attempt: delivery.attempt, begin: now(), end: Infinity }
    runs.push(current)
    await work(delivery)
    current.end = now()
    await delivery.settle(done).catch(() => {})
  }
  const consumer = await driver.subscribe({
    group: 'jobs',
    mode: 'shared',
    filter: [{ types: ['job.>'] }],
    maxInFlight: options.limit ?? 16,
    from: 'beginning',
    ...options,
    onDelivery: delivery => void run(delivery),
  })
  return { consumer, runs }
}

/** Events of one partition. */
function entriesOf(partition: number, count: number) {
  const entries: ReturnType<typeof entry>[] = []
  while (entries.length < count) {
    const one = entry()
    if (partitionOf(shardOf(one.event.correlationid, shards), 3) === partition) entries.push(one)
  }
  return entries
}

const entries = (count: number) => Array.from({ length: count }, () => entry())

const settled = (driver: Driver) =>
  until(async () => (await driver.listGroups()).every(({ lag }) => lag === 0), { within: 30_000, what: 'no lag' })

const takes = (ms: number) => () => setTimeout(ms)

/** Deliveries that end one after the other when the test says so. */
function manual() {
  const ends: (() => void)[] = []
  return { work: () => new Promise<void>(resolve => ends.push(resolve)), end: () => ends.shift()?.() }
}

describeNatsServer('the limit of a shared group', () => {
  for (const partitions of [1, 3])
    it(`is kept with ${partitions} partitions while members come, go, die and sleep`, { timeout: 90_000 }, async () => {
      const { url } = await server()
      const driver = await open(url, { partitions })
      const limits = [1, 2, 5]
      const members: Member[] = []
      const join = async () => {
        const member = await Member.join(`${url}/log`, leaseMs, limits)
        members.push(member)
        return member
      }
      let published = 0
      const publish = async () => {
        const jobs = Array.from({ length: 25 }, () => entry({ data: { ms: published++ % 7 === 0 ? 300 : 10 } }))
        await driver.publish(jobs)
        await setTimeout(leaseMs)
      }
      const a = await join()
      await publish()
      const b = await join()
      await publish()
      await join()
      await publish()
      await a.kill()
      const d = await join()
      await publish()
      // With one partition, what the server gave to a member before it woke is processed twice.
      if (partitions > 1) await b.sleep(2.5 * leaseMs)
      await publish()
      await d.close()
      await settled(driver)
      const runsOf = (limit: number) => members.flatMap(({ runs }) => runs.get(limit) ?? [])
      expect(limits.map(limit => maxAtOnce(runsOf(limit)))).toEqual(limits)
      expect(Math.min(...limits.map(limit => runsOf(limit).length))).toBeGreaterThanOrEqual(published)
    })

  it('is kept by a member that wakes with what the server gave it in its sleep', { timeout: 30_000 }, async () => {
    const { url } = await server()
    const driver = await open(url)
    const { work, end } = manual()
    const { runs } = await joined(driver, { group: 'limit-2', limit: 2, work })
    const sleeper = await Member.join(`${url}/log`, leaseMs, [2])
    await setTimeout(leaseMs)
    const asleep = sleeper.sleep(4 * leaseMs)
    await driver.publish(Array.from({ length: 8 }, () => entry({ data: { ms: 10_000 } })))
    await until(() => runs.length === 2, { within: 3 * leaseMs })
    await asleep
    await setTimeout(leaseMs)
    expect([runs.length, sleeper.runs.get(2) ?? []]).toEqual([2, []])
    const next = async () => {
      end()
      await setTimeout(leaseMs)
      return sleeper.runs.get(2)?.[0]
    }
    const run = await until(next)
    expect(runs.map(({ id }) => id)).not.toContain(run.id)
  })

  it('is kept through an outage that is longer than a lease', { timeout: 60_000 }, async () => {
    const nats = await server()
    const wires = [await startProxy({ port: nats.port }), await startProxy({ port: nats.port })]
    onTestFinished(async () => void (await Promise.all(wires.map(wire => wire.stop()))))
    const drivers = []
    for (const { port } of wires) drivers.push(await open(`nats://127.0.0.1:${port}`))
    const members: Awaited<ReturnType<typeof joined>>[] = []
    for (const driver of drivers) members.push(await joined(driver, { limit: 2, work: takes(5 * leaseMs) }))
    await drivers[0]!.publish(entries(6))
    await until(() => members.every(({ runs }) => runs.length === 1))
    for (const wire of wires) wire.freeze()
    await setTimeout(1.5 * leaseMs)
    wires[0]!.thaw()
    await setTimeout(leaseMs / 10)
    wires[1]!.thaw()
    await until(() => members.every(({ runs }) => runs[0]!.end < Infinity), { within: 10_000 })
    expect(maxAtOnce(members.flatMap(({ runs }) => runs))).toBe(2)
  })

  it('serves every partition, also while one has a long backlog', { timeout: 30_000 }, async () => {
    const { url } = await server()
    const driver = await open(url)
    const { runs } = await joined(driver, { limit: 1, work: takes(5) })
    await driver.publish(entriesOf(0, 1_000))
    await until(() => runs.length > 20)
    for (const partition of [1, 2, 1, 2]) {
      const [late] = entriesOf(partition, 1)
      await driver.publish([late!])
      await until(() => runs.some(({ id }) => id === late!.event.id), { within: leaseMs / 2 })
    }
    expect(runs.length).toBeLessThan(900)
  })

  it('gives a slot to a new member when its delivery ends, and renews the lease meanwhile', async () => {
    const { url } = await server()
    const long = { leaseMs: 3_000 }
    const [first, second] = [await open(url, long), await open(url, long)]
    const { work, end } = manual()
    const a = await joined(first, { limit: 2, work })
    await first.publish(entries(10))
    await until(() => a.runs.length === 2)
    const b = await joined(second, { limit: 2, work: takes(1) })
    await setTimeout(1.5 * long.leaseMs)
    expect([a.runs.length, b.runs.length]).toEqual([2, 0])
    end()
    await until(() => b.runs.length > 0, { within: long.leaseMs / 10 })
    end()
    await until(() => a.runs.length + b.runs.length >= 10)
    expect(maxAtOnce([...a.runs, ...b.runs])).toBe(2)
  })

  it('passes the slots of a member that takes no more to the others', async () => {
    const { url } = await server()
    const [first, second] = [await open(url), await open(url)]
    const a = await joined(first, { limit: 1 })
    const b = await joined(second, { limit: 1, work: takes(1) })
    a.consumer.pause()
    await first.publish(entries(5))
    await until(() => b.runs.length === 5, { within: leaseMs })
  })

  it('that a deploy reduces counts what runs under the older one', { timeout: 30_000 }, async () => {
    const { url } = await server()
    // A lease that ends on a busy machine would pass the free slot to a member whose deliveries do not end.
    const long = { leaseMs: 5_000 }
    const drivers = [await open(url, long), await open(url, long), await open(url, long)] as const
    const [a, b, c] = [manual(), manual(), manual()]
    const first = await joined(drivers[0], { limit: 5, work: a.work })
    const second = await joined(drivers[1], { limit: 5, work: b.work })
    await drivers[0].publish(entries(20))
    await until(() => first.runs.length === 3 && second.runs.length === 2)
    const third = await joined(drivers[2], { limit: 3, work: c.work })
    // Until the others have seen it, they take as many as before.
    await setTimeout(leaseMs)
    a.end()
    a.end()
    await setTimeout(leaseMs)
    expect([first.runs.length, second.runs.length, third.runs.length]).toEqual([3, 2, 0])
    b.end()
    await until(() => third.runs.length === 1)
    await setTimeout(leaseMs)
    expect([first.runs.length, second.runs.length, third.runs.length]).toEqual([3, 2, 1])
  })

  it('that a deploy raises is used', async () => {
    const { url } = await server()
    const [older, newer] = [await open(url), await open(url)]
    const a = await joined(older, { limit: 2, maxInFlight: 8 })
    await older.publish(entries(20))
    await until(() => a.runs.length === 2)
    const b = await joined(newer, { limit: 5 })
    await until(() => a.runs.length + b.runs.length === 5)
    await setTimeout(leaseMs)
    expect(a.runs.length + b.runs.length).toBe(5)
  })
})

describeNatsServer('a delivery that waits for room', () => {
  it('goes to a member that has some', async () => {
    const { url } = await server()
    const [first, second] = [await open(url), await open(url)]
    const a = await joined(first, { maxInFlight: 1 })
    await first.publish([0, 1, 2].flatMap(partition => entriesOf(partition, 1)))
    await until(async () => (await first.listGroups())[0]!.inFlight === 3)
    expect(a.runs).toHaveLength(1)
    const b = await joined(second, { maxInFlight: 16 })
    await until(() => b.runs.length === 2, { within: leaseMs / 3 + 100 })
  })

  it('stays where it is while no member has room, and is not delivered again', async () => {
    const { url } = await server()
    const driver = await open(url)
    const { runs } = await joined(driver, { maxInFlight: 1, work: takes(1.5 * leaseMs) })
    await driver.publish([0, 1, 2].flatMap(partition => entriesOf(partition, 1)))
    await settled(driver)
    expect(runs.map(({ attempt }) => attempt)).toEqual([1, 1, 1])
  })
})
