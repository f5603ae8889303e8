import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { expect, onTestFinished, test, vi } from 'vitest'
import { correlationOf, partitionOf, shardOf } from '../../src/bus/ids.ts'
import type { Driver, Subscription } from '../../src/bus/driver.ts'
import { newTask, turn } from '../../src/testing/conformance/entries.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { ended } from '../lib/world.ts'
import { double, doubler } from './lib/apps.ts'
import { entry, isUp, open, server, worker, type Worker } from './lib/broker.ts'

/* The stream of one partition is deleted, and nothing else: by mistake, or because its files were damaged. */

const lostStream = { 1: 'log', 3: 'log_1' } as const

async function deleteStream(
  url: string,
  partitions: 1 | 3,
  login: { user?: string; pass?: string } = {},
): Promise<void> {
  const nc = await connect({ servers: url, ...login })
  onTestFinished(() => nc.close())
  await (await jetstreamManager(nc)).streams.delete(lostStream[partitions])
}

const addressOf = (url: string, partitions: number) => `${url}/log?timeout=2000&partitions=${partitions}`

/** Entries for each of four shards. */
function entries(): ReturnType<typeof entry>[] {
  const found = new Map<number, ReturnType<typeof entry>>()
  while (found.size < 4) {
    const each = entry()
    found.set(shardOf(each.event.correlationid, 4), each)
  }
  return [...found.values()]
}

const idsOf = (sent: readonly { event: { id: string } }[]) => sent.map(({ event }) => event.id).toSorted()

/** A member that settles what it receives. */
async function member(driver: Driver, more: Partial<Subscription> = {}): Promise<string[]> {
  const received: string[] = []
  await driver.subscribe({
    group: 'group',
    mode: 'shared',
    filter: [{ types: ['job.>'] }],
    maxInFlight: 10,
    from: 'now',
    onDelivery: delivery => {
      received.push(delivery.event.id)
      void delivery.settle({ kind: 'done' })
    },
    ...more,
  })
  return received
}

async function runAll(running: Worker): Promise<void> {
  await Promise.all(
    Array.from({ length: 24 }, async (_, n) => {
      const { correlationid, id } = await running.bus.publish({ type: 'go', data: n })
      expect(await ended(running, correlationid, id, 20_000)).toMatchObject({ data: { output: n * 2 } })
    }),
  )
}

describeNatsServer('a partition that is lost', () => {
  test.each([1, 3] as const)(
    'of %i while workers run is created again, and they continue; /health and the standard error report it',
    async partitions => {
      const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
      onTestFinished(() => warned.mockRestore())
      const nats = await server()
      const bus = addressOf(nats.url, partitions)
      const running = await worker(nats.url, [doubler, double], { bus })
      await worker(nats.url, [doubler, double], { bus, only: ['agents', 'tools'] })
      await isUp(running)
      await runAll(running)
      const followed = new Set<string>()
      const abort = new AbortController()
      onTestFinished(() => abort.abort())
      const { driver } = running.bus
      const head = await driver.head()
      void (async () => {
        for await (const { event } of driver.follow(head, [{ types: ['agent.task.completed'] }], abort.signal)) {
          expect(followed).not.toContain(event.id)
          followed.add(event.id)
        }
      })()
      await deleteStream(nats.url, partitions)
      const warning = await until(
        async () => {
          const { status, body } = await running.health()
          return status === 200 && 'warning' in body && body.warning
        },
        { within: 15_000 },
      )
      expect(warning).toMatch(new RegExp(`lost its data of partition ${partitions === 1 ? 0 : 1} of the log`))
      await until(() => warned.mock.calls.some(([text]) => /lost its data/.test(String(text))))
      await runAll(running)
      await until(() => followed.size === 24)
      await until(async () => (await driver.listGroups()).every(({ lag }) => lag === 0), { within: 10_000 })
    },
    60_000,
  )

  test.each([1, 3] as const)(
    'of %i while they are down is created again above the old offsets, so no group, reader or checkpoint skips an event',
    async partitions => {
      const nats = await server()
      const options = { shards: 4, partitions, url: addressOf(nats.url, partitions) }
      const before = await open(nats.url, options)
      for (let n = 0; n < 20; n++) await before.publish(entries())
      const old = await member(before)
      const tasks = Array.from({ length: 12 }, () => newTask())
      const tasking = { group: 'tasks', mode: 'sharded', filter: [{ types: ['task.input'] }], onDelivery() {} } as const
      await member(before, tasking)
      for (const task of tasks) await before.commit({ ...turn(task, 0, { wake: 5 }), group: 'tasks' })
      const head = await before.head()
      await before.close()
      await deleteStream(nats.url, partitions)

      const driver = await open(nats.url, options)
      let lost: readonly number[] | undefined
      driver.onEmptied!(found => (lost = found))
      expect(await until(() => lost, { within: 5_000 })).toEqual([partitions === 1 ? 0 : 1])
      const seen: string[] = []
      const abort = new AbortController()
      onTestFinished(() => abort.abort())
      void (async () => {
        for await (const { event } of driver.follow(head, [{ types: ['job.>'] }], abort.signal)) seen.push(event.id)
      })()
      const sent = entries()
      await driver.publish(sent)
      const received = await member(driver)
      await until(() => received.length === 4)
      expect([received.toSorted(), old]).toEqual([idsOf(sent), []])
      await until(() => seen.length === 4)
      expect(idsOf(sent)).toEqual(seen.toSorted())
      expect(idsOf(await collect(driver.read({ after: head })))).toEqual(idsOf(sent))

      // Tasks that are gone hold nothing back; those that are left are woken, and so are new ones.
      const isLost = (task: string) =>
        partitionOf(shardOf(correlationOf(task), 4), partitions) === (partitions === 1 ? 0 : 1)
      const woken: string[] = []
      await member(driver, { ...tasking, onWake: task => woken.push(task) })
      const next = Array.from({ length: 12 }, () => newTask())
      for (const task of next) await driver.commit({ ...turn(task, 0, { wake: 5 }), group: 'tasks' })
      const expected = [...tasks.filter(task => !isLost(task)), ...next].toSorted()
      await until(() => new Set(woken).size >= expected.length, { within: 10_000 })
      expect([...new Set(woken)].toSorted()).toEqual(expected)
      const { heldBy } = await driver.purge({ maxAgeMs: 1, maxLag: 1 })
      for (const task of tasks.filter(isLost)) expect(heldBy).not.toContain(task)
    },
    40_000,
  )

  test('of 3 that a process may not create is a problem that it reports', async () => {
    const streams = ['log_state', 'log_blobs', 'log_0', 'log_1', 'log_2']
    const may = ['_INBOX.>', 'log.>', ...streams.map(name => `$JS.API.STREAM.INFO.${name}`), '$JS.API.DIRECT.>']
    const narrow = `{ user: narrow, password: pw, permissions: { publish: ${JSON.stringify(may)} } }`
    const nats = await server({ config: `authorization { users: [${narrow}, { user: wide, password: pw }] }` })
    const as = (user: string) => nats.url.replace('//', `//${user}:pw@`)
    const wide = await open(as('wide'), { url: addressOf(as('wide'), 3) })
    await wide.putDocument('some', 'document', 0)
    await wide.close()
    const driver = await open(as('narrow'), { url: addressOf(as('narrow'), 3) })
    await deleteStream(nats.url, 3, { user: 'wide', pass: 'pw' })
    const sent = entries()
    const failed = await Promise.allSettled(sent.map(each => driver.publish([each])))
    expect(failed.some(({ status }) => status === 'rejected')).toBe(true)
    expect(await until(() => driver.problem)).toMatchObject({
      code: 'E_LOG_UNAVAILABLE',
      message: expect.stringContaining('the broker lost the stream "log_1" of the log and this user may not create it'),
    })
    await open(as('wide'), { url: addressOf(as('wide'), 3) })
    await until(() => driver.problem === undefined, { within: 10_000 })
    await Promise.all(sent.map(each => driver.publish([each])))
    expect(idsOf(await collect(driver.read({})))).toEqual(idsOf(sent))
  })
})
