import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Bus } from '../bus/bus.ts'
import { resultId } from '../bus/ids.ts'
import { MemoryDriver } from '../testing/memory/driver.ts'
import { MemoryLog } from '../testing/memory/log.ts'
import { OpenTexts, type TextReader } from './open-texts.ts'
import type { TextDelta } from './text-delta.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const correlation = '0199a5ff-0000-7000-8000-000000000000'
const call = `${correlation}.0123456789:0000001:0`

function followed() {
  const log = new MemoryLog()
  const bus = new Bus(new MemoryDriver(log))
  const requests: unknown[] = []
  bus.onSignal([{ types: ['model.text.requested'] }], ({ data }) => requests.push(data))
  const send = (offset: number, text: string, attempt = 'a', more: object = {}) =>
    bus.signal({
      type: 'model.delta',
      subject: call,
      correlationid: correlation,
      ...more,
      data: { attempt, offset, part: 0, kind: 'text', text } satisfies TextDelta,
    })
  const texts = new OpenTexts(bus)
  const join = (scope: object = { correlation }) => {
    const grown: string[] = []
    const reader = texts.read(each => grown.push(each)).follow(scope as never)
    return { reader, grown, take: () => taken(reader) }
  }
  return { bus, requests, send, texts, join }
}

const taken = (reader: TextReader) =>
  reader.take(call).map(({ data }) => `${(data as TextDelta).offset} ${(data as TextDelta).text}`)

it('asks once for all readers of a scope, and serves those who join later from memory', () => {
  const { requests, send, join } = followed()
  const first = join()
  send(0, 'one ')
  expect(first.take()).toEqual(['0 one '])
  const second = join()
  expect([second.grown, second.take()]).toEqual([[call], ['0 one ']])
  send(4, 'two ')
  send(4, 'two ')
  expect([first.take(), second.take(), second.take()]).toEqual([['4 two '], ['4 two '], []])
  expect(requests).toEqual([{ correlation }])
  first.reader.close()
  second.reader.close()
  // Nobody kept it meanwhile.
  join()
  expect(requests).toEqual([{ correlation }, { correlation }])
})

it('gives a slow reader larger pieces, and a later attempt from its beginning', () => {
  const { send, join } = followed()
  const { take } = join()
  for (const offset of [0, 4, 8]) send(offset, 'abc ')
  expect(take()).toEqual(['0 abc abc abc '])
  send(12, 'lost', 'a')
  send(0, 'more ', 'b')
  send(16, 'late', 'a')
  expect(take()).toEqual(['0 more '])
})

it('asks once for what is missing; without an answer in 500 ms it looks at the log, and the next delta asks again', async () => {
  const { bus, requests, send, join } = followed()
  const get = vi.spyOn(bus, 'get')
  const { take } = join()
  await vi.advanceTimersByTimeAsync(500)
  send(8, 'three ')
  send(14, 'four ')
  await vi.advanceTimersByTimeAsync(499)
  expect(requests.slice(1)).toEqual([{ calls: [call] }])
  expect(get).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  expect(get).toHaveBeenCalledWith(resultId(call), correlation)
  send(19, 'five ')
  await vi.advanceTimersByTimeAsync(0)
  expect(requests.slice(1)).toEqual([{ calls: [call] }, { calls: [call] }])
  // The worker answers with everything.
  send(0, 'one two three four five ')
  send(24, 'six ')
  expect(take()).toEqual(['0 one two three four five six '])
  await vi.advanceTimersByTimeAsync(500)
  expect(get).toHaveBeenCalledTimes(1)
})

it('waits for the answer for its scope before it asks for a call', async () => {
  const { requests, send, join } = followed()
  join()
  send(8, 'three ')
  await vi.advanceTimersByTimeAsync(499)
  expect(requests).toEqual([{ correlation }])
  await vi.advanceTimersByTimeAsync(2)
  expect(requests).toEqual([{ correlation }, { calls: [call] }])
})

it('asks no more for a call whose answer is on the log', async () => {
  const { bus, requests, send, join } = followed()
  join()
  await vi.advanceTimersByTimeAsync(500)
  await bus.publish({ id: resultId(call), type: 'model.result', correlationid: correlation, data: { text: 'done' } })
  for (const offset of [8, 12, 16]) {
    send(offset, 'abc ')
    await vi.advanceTimersByTimeAsync(600)
  }
  expect(requests.slice(1)).toEqual([{ calls: [call] }])
})

it('follows a correlation, a tenant, a user of it, or all, and nothing else', () => {
  const { send, join, texts } = followed()
  const others = [{ correlation: 'other' }, { tenant: 'acme' }, { tenant: 'default', user: 'bob' }].map(each =>
    join(each),
  )
  send(0, 'unheard ', 'a', { user: 'ada' })
  expect(texts.has(call)).toBe(false)
  const own = [{ correlation }, { tenant: 'default' }, { tenant: 'default', user: 'ada' }, {}].map(each => join(each))
  send(0, 'heard ', 'a', { user: 'ada' })
  expect(own.map(({ take }) => take())).toEqual([['0 heard '], ['0 heard '], ['0 heard '], ['0 heard ']])
  expect(others.map(({ grown }) => grown)).toEqual([[], [], []])
})

it('forgets a call that was answered, and its last deltas', () => {
  const { send, texts, join } = followed()
  const { take } = join()
  send(0, 'one ')
  texts.end(call)
  send(4, 'two ')
  expect([take(), texts.has(call)]).toEqual([[], false])
})

it('ignores deltas of another shape', () => {
  const { bus, join } = followed()
  const { grown } = join()
  const shapes = [null, 'x', { text: 'x' }, { attempt: 'a', offset: -1, part: 0, kind: 'text', text: 'x' }]
  for (const data of [...shapes, { attempt: 'a', offset: 0, part: 0, kind: 'else', text: 'x' }])
    bus.signal({ type: 'model.delta', subject: call, correlationid: correlation, data })
  expect(grown).toEqual([])
})
