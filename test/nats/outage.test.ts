import { expect, onTestFinished, test, vi } from 'vitest'
import { createEvent } from '../../src/event.ts'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { ended, eventsOf } from '../lib/world.ts'
import { double, doubler } from './lib/apps.ts'
import { dataFolder, entry, expectStored, isUp, open, server, worker } from './lib/broker.ts'

const bounded = { code: expect.stringMatching(/^E_LOG_(UNAVAILABLE|UNANSWERED)$/), retryable: true }

describeNatsServer('a server that goes away and comes back with its data', () => {
  test('publishes wait for it, or fail within the time limit, and none that was acknowledged is lost', async () => {
    const nats = await server()
    const driver = await open(nats.url)
    const acknowledged: string[] = []
    const failures: unknown[] = []
    let longest = 0
    let stop = false
    onTestFinished(() => void (stop = true))
    const publisher = async () => {
      while (!stop) {
        const sent = entry()
        const began = performance.now()
        await driver.publish([sent]).then(
          () => acknowledged.push(sent.event.id),
          (error: unknown) => failures.push(error),
        )
        longest = Math.max(longest, performance.now() - began)
      }
    }
    const publishing = Promise.all(Array.from({ length: 8 }, publisher))
    await until(() => acknowledged.length > 100)
    await nats.kill()
    expect(await until(() => driver.problem)).toMatchObject({ code: 'E_LOG_UNAVAILABLE' })
    await until(() => failures.length > 0, { within: 6_000 })
    const before = acknowledged.length
    await nats.restart()
    await until(() => acknowledged.length > before + 100, { within: 10_000 })
    stop = true
    await publishing
    // One and a half time limits, and what a busy machine adds.
    expect(longest).toBeLessThan(5_000)
    for (const failure of failures) expect(failure).toMatchObject(bounded)
    // A short outage is not even noticed.
    await nats.kill()
    await until(() => driver.problem)
    const waiting = Array.from({ length: 20 }, () => entry())
    const published = Promise.all(waiting.map(each => driver.publish([each])))
    await nats.restart()
    await published
    await expectStored(driver, [...acknowledged, ...waiting.map(({ event }) => event.id)])
  })

  test.each([1, 3])(
    'tasks and tools continue, each once, and /health reports the outage: partitions=%i',
    async partitions => {
      const nats = await server()
      const bus = `${nats.url}/log?timeout=2000&partitions=${partitions}`
      const running = await worker(nats.url, [doubler, double], { bus })
      await isUp(running)
      const sent = Array.from({ length: 60 }, (_, n) => createEvent({ type: 'go', data: n }))
      const publishing = Promise.all(
        sent.map(async event => {
          await running.bus.publish(event).catch(() => {})
          // What is not known, or was not stored, is sent again under its id.
          await until(() => running.bus.publish(event).catch(() => false), { within: 20_000 })
        }),
      )
      await until(async () => (await running.bus.driver.head()) !== '0')
      await nats.kill()
      const down = await until(async () => {
        const found = await running.health()
        return found.status === 503 && found
      })
      expect(down.body.error.message).toMatch(/connection/)
      await nats.restart()
      await publishing
      await isUp(running)
      for (const { correlationid, id, data } of sent) {
        const end = await ended(running, correlationid, id, 20_000)
        expect(end).toMatchObject({ type: 'agent.task.completed', data: { output: data * 2 } })
        const ends = (await eventsOf(running, correlationid)).filter(({ type }) => type === 'agent.task.completed')
        expect(ends).toHaveLength(1)
      }
    },
  )

  test('a worker can be stopped meanwhile', async () => {
    const nats = await server()
    const running = await worker(nats.url, [doubler, double])
    await nats.kill()
    await until(() => running.bus.driver.problem)
    await running.stop()
  })
})

describeNatsServer('a server that comes back empty', () => {
  test('gets a new log, which takes new work; /health and the standard error report it', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const nats = await server()
    const running = await worker(nats.url, [doubler, double])
    await worker(nats.url, [doubler, double], { only: ['agents', 'tools'] })
    await Promise.all(Array.from({ length: 20 }, (_, n) => run(running, n)))
    const stream = await fetch(`${running.addresses[0]}/events/stream`)
    const followed = following(running)
    await nats.restart({ empty: true })
    const { body } = await until(
      async () => {
        const found = await running.health()
        return found.status === 200 && 'warning' in found.body && found
      },
      { within: 10_000 },
    )
    expect(body).toMatchObject({ warning: expect.stringMatching(/lost its data.*a new, empty log was created/) })
    await until(() => warned.mock.calls.length >= 2)
    for (const call of warned.mock.calls) expect(call).toEqual([expect.stringMatching(/lost its data/)])
    warned.mockRestore()
    expect(await stream.text()).toContain('retry:')
    // Sequences and task versions begin again: more than there were before, so that each old one is met.
    await Promise.all(Array.from({ length: 40 }, (_, n) => run(running, n)))
    await until(() => followed.filter(type => type === 'agent.task.completed').length >= 40)
    await until(async () => (await running.bus.driver.listGroups()).every(({ lag }) => lag === 0), { within: 10_000 })
    const names = (await running.bus.driver.listGroups()).map(({ group }) => group)
    expect(names.filter(name => !name.startsWith('operations'))).toHaveLength(3)
  })

  test('followers get all events of the new log, from its beginning', async () => {
    const nats = await server()
    const driver = await open(nats.url)
    await driver.publish([entry(), entry(), entry()])
    const followed: string[] = []
    const abort = new AbortController()
    onTestFinished(() => abort.abort())
    void (async () => {
      for await (const { event } of driver.follow('0', undefined, abort.signal)) followed.push(event.id)
    })()
    await until(() => followed.length === 3)
    const sent = [entry(), entry()]
    const published = new Promise(resolve => driver.onEmptied!(() => resolve(driver.publish(sent))))
    await nats.restart({ empty: true })
    await published
    await until(() => followed.length === 5)
    expect(followed.slice(3)).toEqual(sent.map(({ event }) => event.id))
  })

  test('deliveries of the old log are forgotten, so that their acknowledgements do not affect the new log', async () => {
    const nats = await server()
    const driver = await open(nats.url)
    const held: { settle(outcome: { kind: 'done' }): Promise<void>; event: { id: string } }[] = []
    await driver.subscribe({
      group: 'group',
      mode: 'shared',
      filter: [{ types: ['job.>'] }],
      maxInFlight: 10,
      from: 'beginning',
      onDelivery: delivery => held.push(delivery),
    })
    await driver.publish([entry(), entry()])
    await until(() => held.length === 2)
    const emptied = new Promise<void>(resolve => driver.onEmptied!(() => resolve()))
    await nats.restart({ empty: true })
    await emptied
    const sent = [entry(), entry()]
    await driver.publish(sent)
    await until(() => held.length === 4)
    for (const old of held.slice(0, 2)) await old.settle({ kind: 'done' })
    expect(await driver.listGroups()).toMatchObject([{ lag: 2, inFlight: 2 }])
    for (const each of held.slice(2)) await each.settle({ kind: 'done' })
    await until(async () => (await driver.listGroups())[0]?.lag === 0)
    expect(held.slice(2).map(({ event }) => event.id)).toEqual(sent.map(({ event }) => event.id))
  })
})

describeNatsServer('credentials', () => {
  test('that are revoked while it runs are reported, and it continues when they are restored', async () => {
    const [dataDir, port] = [await dataFolder(), await freePort()]
    const withPassword = (password: string) => server({ dataDir, port, auth: { user: 'me', password } })
    const first = await withPassword('right')
    const running = await worker(first.url.replace('//', '//me:right@'), [doubler, double])
    await run(running, 1)
    await first.stop()
    const other = await withPassword('changed')
    await until(async () => /authorization/i.test((await running.health()).body.error.message), { within: 10_000 })
    expect(await running.health()).toMatchObject({ status: 503, body: { error: { code: 'E_BUS_DENIED' } } })
    const refused = await running.bus.publish({ type: 'note', data: null }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'E_BUS_DENIED', retryable: true })
    expect(JSON.stringify(await running.health())).not.toMatch(/right/)
    await other.stop()
    await withPassword('right')
    await isUp(running)
    await run(running, 2)
  })
})

async function run(running: Parameters<typeof ended>[0], n: number): Promise<void> {
  const { correlationid, id } = await running.bus.publish({ type: 'go', data: n })
  expect(await ended(running, correlationid, id, 15_000)).toMatchObject({ data: { output: n * 2 } })
}

/** The types of what a reader of the log sees, as `tidings tail` does. */
function following({ bus }: Parameters<typeof ended>[0]): string[] {
  const seen: string[] = []
  void (async () => {
    for (;;)
      try {
        for await (const { event } of bus.follow(await bus.driver.head(), undefined, new AbortController().signal))
          seen.push(event.type)
      } catch (error) {
        if ((error as { code?: string }).code === 'E_BUS_CLOSED') return
      }
  })()
  return seen
}
