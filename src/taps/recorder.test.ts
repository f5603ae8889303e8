import { expect, onTestFinished, test } from 'vitest'
import { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { MemoryDriver } from '../testing/memory/driver.ts'
import { MemoryLog } from '../testing/memory/log.ts'
import { until } from '../testing/wait.ts'
import { Recorder, type RecorderOptions, type TapStatus } from './recorder.ts'

const correlationid = '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000'
const call = (subject: string, data: unknown = { subject }) =>
  ({ type: 'model.invoke', subject, correlationid, data, outline: { outline: true } }) as const
const answer = (text: string) => ({ type: 'model.result', data: { text } })

/** A log that can be away, and a tap on it. */
async function tapped(options: Partial<RecorderOptions> = {}, log = new MemoryLog()) {
  const driver = new MemoryDriver(log)
  const state = { isAway: false }
  const awayOr = <Args extends unknown[], T>(work: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      if (state.isAway) throw new TidingsError('E_LOG_UNAVAILABLE', 'the disk is full', { retryable: true })
      return work(...args)
    } // biome-ignore format: one function
  Object.assign(driver, { publish: awayOr(driver.publish), putDocument: awayOr(driver.putDocument) })
  const bus = new Bus(driver)
  const seen: TapStatus[] = []
  const recorder = new Recorder({
    name: 'test',
    open: async () => bus,
    onStatus: status => void seen.push(status),
    ...options,
  })
  await recorder.start()
  onTestFinished(() => recorder.stop())
  return { recorder, bus, state, seen, log }
}

async function eventsOn(bus: Bus): Promise<CloudEvent[]> {
  const events: CloudEvent[] = []
  for await (const { event } of bus.read({})) events.push(await bus.resolve(event))
  return events
}

test('records a request before its answer', async () => {
  const { recorder, bus } = await tapped()
  const recorded = recorder.begin(() => call('gpt'))
  recorded.end(answer('hi'))
  expect(await recorded.durable()).toBe(true)
  const events = await until(async () => (await eventsOn(bus)).length === 2 && eventsOn(bus))
  expect(events).toMatchObject([
    { type: 'model.invoke', id: recorded.id, target: 'tap:test', source: '/taps/test', subject: 'gpt', correlationid },
    { type: 'model.result', id: `${recorded.id}:result`, call: recorded.id, causationid: recorded.id, subject: 'gpt' },
  ])
  expect(recorder.status).toMatchObject({ log: 'ok', calls: 1, waiting: 0, late: 0, unrecorded: 0 })
})

test('while the log is away no call waits; what fits is recorded later, and the rest is counted on the log', async () => {
  const { recorder, bus, state, seen } = await tapped({ maxCalls: 2 })
  state.isAway = true
  const calls = ['a', 'b', 'c', 'd'].map(name => recorder.begin(() => call(name)))
  for (const each of calls) each.end(answer('ok'))
  expect(await Promise.all(calls.map(each => each.durable()))).toEqual([false, false, false, false])
  await until(() => recorder.status.log === 'away')
  expect(recorder.status).toMatchObject({
    calls: 4,
    waiting: 2,
    late: 2,
    unrecorded: 2,
    problem: { code: 'E_LOG_UNAVAILABLE' },
  })
  state.isAway = false
  const events = await until(async () => (await eventsOn(bus)).length === 5 && eventsOn(bus))
  expect(events.filter(({ type }) => type === 'model.invoke').map(({ subject }) => subject)).toEqual(['a', 'b'])
  expect(events.filter(({ type }) => type === 'model.result')).toHaveLength(2)
  expect(events.find(({ type }) => type === 'tap.gap')).toMatchObject({ subject: 'test', data: { calls: 2 } })
  expect(seen.map(({ log }) => log)).toEqual(['ok', 'away', 'ok'])
})

test('a log that is not there at the start is opened while calls pass', async () => {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const state = { isAway: true }
  const open = async () => {
    if (state.isAway) throw new TidingsError('E_LOG_UNAVAILABLE', 'no broker', { retryable: true })
    return bus
  }
  const { recorder } = await tapped({ open })
  const recorded = recorder.begin(() => call('early'))
  expect(await recorded.durable()).toBe(false)
  recorded.end(answer('ok'))
  state.isAway = false
  await until(async () => (await eventsOn(bus)).length === 2)
})

test('an answer that finds no room ends its call as interrupted', async () => {
  const { recorder, bus } = await tapped({ maxBytes: 100 })
  const recorded = recorder.begin(() => call('gpt'))
  recorded.end(answer('much'), 101)
  const events = await until(async () => (await eventsOn(bus)).length === 2 && eventsOn(bus))
  expect(events[1]).toMatchObject({ type: 'model.failed', data: { error: { code: 'E_TAP_INTERRUPTED' } } })
})

test('what the log refuses is recorded in outline', async () => {
  const { recorder, bus } = await tapped()
  let deep: unknown = 1
  for (let i = 0; i < 100; i++) deep = [deep]
  const recorded = recorder.begin(() => ({ ...call('deep', { deep }), user: 'not\na\nname' }))
  recorded.end({ type: 'model.result', data: { deep, usage: { input: 1, output: 2 }, finish: 'stop' } })
  const events = await until(async () => (await eventsOn(bus)).length === 2 && eventsOn(bus))
  expect(events.map(({ data }) => data)).toEqual([
    { outline: true },
    { outline: true, usage: { input: 1, output: 2 }, finish: 'stop' },
  ])
})

test('a process that died leaves its open calls to the next one, and a live one keeps them', async () => {
  const log = new MemoryLog()
  const first = await tapped({}, log)
  const second = await tapped({}, log)
  const open = ['a', 'b'].map(name => first.recorder.begin(() => call(name)))
  await Promise.all(open.map(each => each.durable()))
  open[0]!.end(answer('ok'))
  await until(async () => (await eventsOn(first.bus)).length === 3)
  const third = await tapped({}, log)
  expect(await eventsOn(first.bus)).toHaveLength(3)
  // As if its process had gone: nothing renews the lease, and no process has that start.
  first.state.isAway = true
  await first.bus.documents.read('tap/test')
  await second.bus.documents.update<{ instances: Record<string, { process: unknown[] }> }>('tap/test', current => {
    const instances = structuredClone(current!.instances)
    for (const [id, each] of Object.entries(instances))
      if (open[0]!.id.includes(id)) each.process = [each.process[0], 1, 'gone']
    return { instances }
  })
  await tapped({}, log)
  const events = await eventsOn(third.bus)
  expect(events.at(-1)).toMatchObject({ id: `${open[1]!.id}:result`, data: { error: { code: 'E_TAP_INTERRUPTED' } } })
  expect(events).toHaveLength(4)
})
