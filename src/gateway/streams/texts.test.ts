import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { pullStream } from '../../../test/lib/pulled-stream.ts'
import { Bus } from '../../bus/bus.ts'
import { resultId } from '../../bus/ids.ts'
import { CallText, noText } from '../../tasks/call-text.ts'
import { textDeltaType, textRequestType, type TextDelta } from '../../tasks/text-delta.ts'
import { MemoryDriver } from '../../testing/memory/driver.ts'
import { MemoryLog } from '../../testing/memory/log.ts'
import { until } from '../../testing/wait.ts'
import { anyone } from '../identity/principal.ts'
import { SseTransport } from './sse-transport.ts'
import { streamRequest } from './stream-request.ts'
import { Streams } from './streams.ts'

/** A stream that stays silent ends then. */
const patienceMs = 10_000
const correlation = '0199a5ff-0000-7000-8000-000000000000'
const call = `${correlation}.0123456789:0000001:0`

/** A gateway, and a worker that writes. */
function writing() {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const streams = new Streams({ bus })
  onTestFinished(() => streams.close())
  const text = new CallText()
  let sent = noText
  let requests = 0
  const send = () => {
    for (const data of text.after(sent))
      bus.signal({ type: textDeltaType, subject: call, correlationid: correlation, user: 'ada', data })
    sent = text.position
  }
  bus.onSignal([{ types: [textRequestType] }], () => {
    requests++
    sent = noText
    send()
  })
  const write = (piece: string, attempt = 'a') => {
    const offset = attempt === text.position.attempt ? text.position.offset : 0
    text.add({ attempt, offset, part: 0, kind: 'text', text: piece })
    send()
  }
  /** Pulls a stream whenever the test asks. */
  const open = async (query: object = { correlation }) => {
    const messages = pullStream(streams, query, anyone, AbortSignal.timeout(patienceMs))
    await messages.next()
    const next = async () => {
      const { signal, event } = (await messages.next()).value!
      const { offset, text } = (signal?.data ?? {}) as TextDelta
      return signal ? `${offset} ${text}` : event!.type
    }
    return { next }
  }
  return { bus, streams, write, open, requests: () => requests }
}

test('a client that joins late gets the text so far, then the rest, and the worker is asked once', async () => {
  const { write, open, requests } = writing()
  write('one ')
  const first = await open()
  expect(await first.next()).toBe('0 one ')
  write('two ')
  expect(await first.next()).toBe('4 two ')
  const second = await open()
  expect(await second.next()).toBe('0 one two ')
  write('again ', 'b')
  expect([await first.next(), await second.next()]).toEqual(['0 again ', '0 again '])
  expect(requests()).toBe(1)
})

test('a connection that gets nothing else gets a text that is known when it opens', async () => {
  const { streams, write, open } = writing()
  const first = await open()
  write('one ')
  expect(await first.next()).toBe('0 one ')
  const request = streamRequest({ correlation, types: [textDeltaType] })
  const server = createServer((_, response) => void streams.open(request, anyone, new SseTransport(response, 'event')))
  onTestFinished(() => void server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { body } = await fetch(url, { signal: AbortSignal.timeout(patienceMs) })
  let got = ''
  for await (const bytes of body!) if ((got += Buffer.from(bytes).toString()).includes('model.delta')) break
  expect(got).toContain('one ')
})

test('a slow client gets larger pieces, and no text after the answer', async () => {
  const { bus, write, open } = writing()
  const slow = await open()
  const fast = await open()
  write('zero ')
  expect([await slow.next(), await fast.next()]).toEqual(['0 zero ', '0 zero '])
  for (const piece of ['one ', 'two ', 'three ']) write(piece)
  expect([await slow.next(), await slow.next()]).toEqual(['5 one ', '9 two three '])
  write('four ')
  write('five ')
  await bus.publish({ id: resultId(call), type: 'model.result', call, correlationid: correlation, data: null })
  await until(async () => (await fast.next()) === 'model.result')
  expect([await slow.next(), await slow.next()]).toEqual(['19 four ', 'model.result'])
})

test('the text goes to streams of its user and to streams that show the type, and to no others', async () => {
  const { bus, write, open } = writing()
  const shown = await Promise.all([{ user: 'ada' }, { types: ['model.*', 'done.*'] }, {}].map(open))
  const others = await Promise.all([{ user: 'bob' }, { types: ['done.*'] }].map(open))
  write('one ')
  for (const { next } of shown) expect(await next()).toBe('0 one ')
  for (const user of ['ada', 'bob']) await bus.publish({ type: 'done.now', user, data: null })
  for (const { next } of others) expect(await next()).toBe('done.now')
})
