import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Bus } from '../bus/bus.ts'
import { redactor, type Redaction } from '../bus/redact.ts'
import { createEvent, type CloudEvent } from '../event.ts'
import { CallText } from '../tasks/call-text.ts'
import type { TextDelta } from '../tasks/text-delta.ts'
import { hiddenKinds, TextStream } from './text-stream.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const request = createEvent({ id: 'call', type: 'model.invoke', target: 'gpt', user: 'ada', data: null })
const text = (delta: string, id = 't') => ({ type: 'text-delta', id, delta }) as const
const end = (id = 't') => ({ type: 'text-end', id }) as const

function streaming(rules: Redaction = {}) {
  const sent: TextDelta[] = []
  const own = redactor(rules)
  const bus = { redactor: own, sendSignal: ({ data }: CloudEvent) => sent.push(data as TextDelta) } as unknown as Bus
  const stream = new TextStream(bus, request, hiddenKinds(own))
  const add = (...parts: LanguageModelV4StreamPart[]) => parts.forEach(part => stream.add(part))
  /** What a reader of everything that was sent has, by part. */
  const read = () => {
    const reader = new CallText()
    for (const delta of sent) expect(reader.add(delta)).toBe('added')
    return reader.parts.map(({ kind, text, part, ...call }) => ({ [`${part} ${kind}`]: text, ...call }))
  }
  return { stream, sent, add, read, texts: () => sent.map(({ text }) => text) }
}

it('sends the first piece at once, and what comes within 30 ms after it as one', () => {
  const { add, sent, texts } = streaming()
  add(text('one '))
  expect(texts()).toEqual(['one '])
  add(text('two '), text('three '))
  vi.advanceTimersByTime(29)
  add(text('four '))
  expect(texts()).toEqual(['one '])
  vi.advanceTimersByTime(1)
  expect(texts()).toEqual(['one ', 'two three four '])
  vi.advanceTimersByTime(100)
  add(text('five '))
  expect(texts()).toEqual(['one ', 'two three four ', 'five '])
  expect(sent.map(({ offset }) => offset)).toEqual([0, 4, 19])
  expect(new Set(sent.map(({ attempt }) => attempt)).size).toBe(1)
})

it('sends everything once more to who asks, at once or with the next piece', () => {
  const { stream, add, texts } = streaming()
  add(text('one '))
  vi.advanceTimersByTime(100)
  for (const _ of [1, 2, 3]) stream.answer({ calls: ['call'] })
  stream.answer({ calls: ['other'] })
  stream.answer({ correlation: 'other' })
  stream.answer({ tenant: 'default', user: 'bob' })
  expect(texts()).toEqual(['one ', 'one '])
  vi.advanceTimersByTime(30)
  expect(texts()).toEqual(['one ', 'one ', 'one '])
  for (const each of [{ correlation: request.correlationid }, { tenant: 'default', user: 'ada' }, {}]) {
    vi.advanceTimersByTime(100)
    stream.answer(each)
  }
  expect(texts()).toHaveLength(6)
})

it('numbers the parts as they come: texts, reasoning, and arguments with their call', () => {
  const { stream, add, read } = streaming()
  add({ type: 'reasoning-delta', id: 'r', delta: 'Hm. ' })
  add(text('I look. '), end(), { type: 'tool-input-start', id: 'c1', toolName: 'search' })
  add({ type: 'tool-input-delta', id: 'c1', delta: '{"q":' }, { type: 'tool-input-delta', id: 'c1', delta: '"x"}' })
  add({ type: 'tool-call', toolCallId: 'c1', toolName: 'search', input: '{"q":"x"}' })
  add({ type: 'tool-call', toolCallId: 'c2', toolName: 'search', input: '{"q":"y"}' })
  add({ type: 'tool-input-start', id: 'own', toolName: 'web', providerExecuted: true })
  add({ type: 'tool-input-delta', id: 'own', delta: '{}' })
  // The id of a part that has ended may be used again.
  add(text(''), text('And more.'))
  stream.end()
  expect(read()).toEqual([
    { '0 reasoning': 'Hm. ' },
    { '1 text': 'I look. ' },
    { '2 tool-input': '{"q":"x"}', toolCallId: 'c1', toolName: 'search' },
    { '3 tool-input': '{"q":"y"}', toolCallId: 'c2', toolName: 'search' },
    { '4 text': 'And more.' },
  ])
})

it('redacts a secret that is split over pieces and over parts, and keeps the borders of the parts otherwise', () => {
  const secret = `ghp_${'a1B2c3D4'.repeat(5)}`.slice(0, 40)
  const { stream, add, read } = streaming()
  add(text('She wrote: ', 'a'), text('yes and ', 'a'), end('a'), text('no. ', 'b'), end('b'))
  add(text(`the key ${secret.slice(0, 20)}`, 'c'), end('c'), text(`${secret.slice(20)} is `, 'd'), text('old', 'd'))
  stream.end()
  expect(read()).toEqual([
    { '0 text': 'She wrote: yes and ' },
    { '1 text': 'no. ' },
    { '2 text': 'the key [redacted github-token] is ' },
    { '3 text': 'old' },
  ])
})

it('splits what is larger than a signal, but no character', () => {
  const { stream, add, sent, texts } = streaming()
  const long = `a${'🌊 '.repeat(3_000)}`
  add(text(long))
  stream.end()
  expect(texts().join('')).toBe(long)
  expect(sent.length).toBeGreaterThan(1)
  for (const { text } of sent) expect(text.length <= 4_096 && text.isWellFormed()).toBe(true)
})

it('sends nothing more once it is closed', () => {
  const { stream, add, texts } = streaming()
  add(text('one '), text('two '))
  stream.close()
  vi.advanceTimersByTime(100)
  expect(texts()).toEqual(['one '])
})

it.each([
  ['model.result:data.text', ['text']],
  ['data.text', ['text', 'reasoning', 'tool-input']],
  ['model.result:data.**.text', ['text', 'reasoning', 'tool-input']],
  ['data.content', ['text', 'reasoning']],
  ['model.*:data.reasoning', ['reasoning']],
  ['data.**.password', ['tool-input']],
  ['data.toolCalls.*.input.card', ['tool-input']],
  ['tool.invoke:data.input.card.number', ['tool-input']],
  ['model.delta:data.text', ['text', 'reasoning', 'tool-input']],
  ['order.*:data.text', []],
  ['data.text.deeper', []],
  ['data.usage', []],
  ['subject', []],
])('streams nothing that %s covers on the log', (path, hidden) => {
  expect([...hiddenKinds(redactor({ paths: [path] }))].toSorted()).toEqual(hidden.toSorted())
})

it('keeps the number of a part that is not streamed', () => {
  const { stream, add, read } = streaming({ paths: ['model.result:data.reasoning'] })
  add({ type: 'reasoning-delta', id: 'r', delta: 'Secret. ' }, text('Hi.'))
  stream.end()
  expect(read()).toEqual([{ '1 text': 'Hi.' }])
})
