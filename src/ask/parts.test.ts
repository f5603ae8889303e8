import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createEvent } from '../event.ts'
import { CallText, noText } from '../tasks/call-text.ts'
import type { ModelPart, ModelResult } from '../tasks/conversation.ts'
import type { TextDelta, TextPiece } from '../tasks/text-delta.ts'
import { answerParts } from './answer-parts.ts'
import { StreamParts, type StreamPart } from './parts.ts'

const request = (type: string, target: string, data: object = { input: 1, step: 'look' }) =>
  createEvent({ id: 'call', type, source: '/agents/clerk', target, replyto: 'clerk', data })
const answer = (type: string, data: unknown) => createEvent({ type, source: '/x', target: 'clerk', call: 'call', data })
const signal = (type: string, data: unknown) =>
  createEvent({ type, source: '/models/gpt', subject: 'call', target: 'clerk', data })
const delta = (text: string, offset: number, attempt = 'a') =>
  signal('model.delta', { attempt, offset, part: 0, kind: 'text', text })
const of = { agent: 'clerk', call: 'call', name: 'gpt' }
const piece = (text: string, attempt?: string) => ({ type: 'text', ...of, part: 0, ...(attempt && { attempt }), text })
const result = (text: string, more: Partial<ModelResult> = {}): ModelResult => ({
  model: 'gpt', text, toolCalls: [], finish: 'stop', usage: { input: 1, output: 1 }, ...more,
}) // biome-ignore format: one value

it('keeps signals that overtake their call, and drops those that come after the answer', () => {
  const parts = new StreamParts()
  expect(parts.ofSignal(delta('Hel', 0))).toEqual([])
  expect(parts.ofEvent(request('model.invoke', 'gpt'))).toEqual([piece('Hel', 'a')])
  expect(parts.ofSignal(delta('lo', 3))).toEqual([piece('lo', 'a')])
  expect(parts.ofEvent(answer('model.result', result('Hello.')))).toEqual([
    piece('.'),
    { type: 'finish', ...of, answer: result('Hello.') },
  ])
  expect(parts.ofSignal(delta('.', 5))).toEqual([])
})

it('begins the parts of an attempt again with the next one, and with an answer that has another text', () => {
  const parts = new StreamParts()
  parts.ofEvent(request('model.invoke', 'gpt'))
  parts.ofSignal(delta('Good mor', 0))
  const restart = { type: 'restart', ...of, part: 0, kind: 'text' }
  expect(parts.ofSignal(delta('Good eve', 0, 'b'))).toEqual([restart, piece('Good eve', 'b')])
  expect(parts.ofSignal(delta('ning', 8))).toEqual([])
  expect(parts.ofEvent(answer('model.result', result('Hello.')))).toMatchObject([restart, piece('Hello.'), {}])
})

it('takes back the text of a call that fails', () => {
  const parts = new StreamParts()
  parts.ofEvent(request('model.invoke', 'gpt'))
  parts.ofSignal(delta('Good mor', 0))
  const error = { code: 'E_MODEL_UNAVAILABLE', message: 'gone' }
  expect(parts.ofEvent(answer('model.failed', { error }))).toMatchObject([
    { type: 'restart' },
    { type: 'answer', error },
  ])
})

it('names a step, and shows progress after its call', () => {
  const parts = new StreamParts()
  expect(parts.ofSignal(signal('tool.progress', 50))).toEqual([])
  expect(parts.ofEvent(request('step.invoke', 'clerk'))).toEqual([
    { type: 'call', ...of, name: 'look', kind: 'step', input: 1 },
    { type: 'progress', ...of, name: 'look', data: 50 },
  ])
  expect(parts.ofEvent(answer('step.failed', { error: { code: 'E_TOOL_THREW', message: 'no' } }))).toMatchObject([
    { type: 'answer', ...of, name: 'look', error: { code: 'E_TOOL_THREW' } },
  ])
})

it('connects a call of a model with its arguments, its approval and its answer', () => {
  const parts = new StreamParts()
  const called = { input: { a: 1 }, toolCallId: 'c1' }
  expect(parts.ofEvent(request('tool.invoke', 'refund', called))).toMatchObject([
    { type: 'call', call: 'call', toolCallId: 'c1' },
  ])
  const asked = { who: ['ann'], what: { tool: 'refund' }, hash: 'h' }
  const approval = { id: 'ask', type: 'approval.requested', source: '/tools/refund', causationid: 'call', data: asked }
  expect(parts.ofEvent(createEvent({ ...approval, target: 'refund', replyto: 'refund' }))).toMatchObject([
    { type: 'approval', call: 'ask', of: 'call' },
  ])
  const granted = { type: 'approval.granted', source: '/cli', call: 'ask', data: { by: 'ann', hash: 'h' } }
  expect(parts.ofEvent(createEvent(granted))).toMatchObject([
    { type: 'answer', call: 'ask', isApproval: true, output: { approved: true, by: 'ann' } },
  ])
  const [done] = parts.ofEvent(answer('tool.result', { output: 1 }))
  expect(done).toMatchObject({ type: 'answer', toolCallId: 'c1' })
  expect(done).not.toHaveProperty('isApproval')
  const error = { code: 'E_TOOL_UNKNOWN', message: 'no such tool' }
  const unmade = {
    id: 'no',
    type: 'tool.failed',
    source: '/agents/clerk',
    data: { error, toolCallId: 'c2', toolName: 'x' },
  }
  expect(parts.ofEvent(createEvent(unmade))).toEqual([
    { type: 'answer', agent: 'clerk', call: 'no', name: 'x', toolCallId: 'c2', error },
  ])
})

/* The property of the whole: whatever is lost, repeated or reordered, each part ends as the text on the log. */

const words = fc.array(fc.constantFrom('a', 'be', 'sea 🌊', ' ', '{"x":1}', '\n'), { minLength: 1, maxLength: 6 })
const kind = fc.constantFrom('text', 'reasoning', 'tool-input')

/** An attempt: the pieces of its parts. Tool inputs are JSON, so each is one word. */
const attempt = fc
  .array(fc.record({ kind, words }), { maxLength: 4 })
  .map(parts =>
    parts.flatMap(({ kind, words }, part): TextPiece[] =>
      kind === 'tool-input'
        ? '{"q": "tides"}'.split('').map(text => ({ part, kind, text, toolCallId: `c${part}`, toolName: 'search' }))
        : words.map(text => ({ part, kind: kind as 'text', text })),
    ),
  )

function deltasOf(attempts: readonly (readonly TextPiece[])[]): TextDelta[] {
  return attempts.flatMap((pieces, n) => {
    let offset = 0
    return pieces.map(each => {
      offset += each.text.length
      return { attempt: `attempt-${n}`, offset: offset - each.text.length, ...each }
    })
  })
}

const joined = (pieces: readonly TextPiece[], kind: string) =>
  pieces.map(each => (each.kind === kind ? each.text : '')).join('')

/** The answer on the log of an attempt. */
function resultOf(pieces: readonly TextPiece[]): ModelResult {
  const parts = [...Map.groupBy(pieces, ({ part }) => part).values()].map(each => ({
    ...each[0]!,
    text: joined(each, each[0]!.kind),
  }))
  const calls = parts.filter(({ kind }) => kind === 'tool-input')
  return result(joined(pieces, 'text'), {
    reasoning: joined(pieces, 'reasoning'),
    toolCalls: calls.map(({ toolCallId, text }) => ({
      toolCallId: toolCallId!,
      toolName: 'search',
      input: JSON.parse(text),
    })),
    content: parts.map(({ kind, text, toolCallId }) =>
      kind === 'tool-input' ? { type: 'tool-call', toolCallId: toolCallId! } : { type: kind, text },
    ),
  })
}

/** What a user sees: the pieces of each part, from its last restart on. */
function shown(stream: readonly StreamPart[]): Map<number, string> {
  const texts = new Map<number, string>()
  for (const part of stream)
    if (part.type === 'restart') texts.delete(part.part)
    else if ('text' in part) texts.set(part.part, (texts.get(part.part) ?? '') + part.text)
  return texts
}

const plain = (pieces: readonly TextPiece[]) =>
  new Map(pieces.map(({ part, kind, text }) => [part, kind === 'tool-input' ? JSON.stringify(JSON.parse(text)) : text]))

it('ends with the text on the log, once and in order, whatever is lost, repeated or reordered', () => {
  const chaos = fc.record({ order: fc.double({ noNaN: true }), copies: fc.constantFrom(0, 1, 1, 1, 2) })
  fc.assert(
    fc.property(fc.array(attempt, { minLength: 1, maxLength: 3 }), fc.infiniteStream(chaos), fc.nat(), fc.nat(), (attempts, random, joins, wins) => {
      const sent = deltasOf(attempts)
      const arrived = sent
        .flatMap((data, i) => {
          const { value: { order, copies } } = random.next() as { value: { order: number; copies: number } }
          return Array.from({ length: copies }, (_, n) => ({ data, at: i + (order % 3) + n * 2 }))
        })
        .toSorted((a, b) => a.at - b.at)
        .map(({ data }) => signal('model.delta', data))
      const parts = new StreamParts()
      const stream: StreamPart[] = []
      const joined = joins % (arrived.length + 1)
      for (const each of arrived.slice(0, joined)) stream.push(...parts.ofSignal(each))
      stream.push(...parts.ofEvent(request('model.invoke', 'gpt')))
      for (const each of arrived.slice(joined)) stream.push(...parts.ofSignal(each))
      const stored = resultOf(attempts[wins % attempts.length]!)
      stream.push(...parts.ofEvent(answer('model.result', stored)))
      const seen = new Map([...shown(stream)].map(([part, text]) => [part, isToolInput(stored, part) ? JSON.stringify(JSON.parse(text)) : text]))
      expect(seen).toEqual(plain(answerParts(stored)))
    }),
    { numRuns: 500 },
  )
}) // biome-ignore format: the property reads from top to bottom

const isToolInput = (stored: ModelResult, part: number) => answerParts(stored)[part]?.kind === 'tool-input'

it('has every text in full while nothing is lost, before the answer too', () => {
  fc.assert(
    fc.property(attempt, fc.nat(), (pieces, joins) => {
      const sent = deltasOf([pieces])
      const at = joins % (sent.length + 1)
      const worker = new CallText()
      for (const each of sent.slice(0, at)) worker.add(each)
      // A reader joins here, and gets what the worker has so far, then the rest. Deltas on the way come twice.
      const late = [...sent.slice(Math.max(0, at - 2), at), ...worker.after(noText), ...sent.slice(at)]
      const parts = new StreamParts()
      parts.ofEvent(request('model.invoke', 'gpt'))
      const stream = late.flatMap(each => [...parts.ofSignal(signal('model.delta', each))])
      for (const each of sent) worker.add(each)
      expect(shown(stream)).toEqual(new Map(worker.parts.map(({ part, text }) => [part, text])))
    }),
  )
})

it('gives the answer as it is on the log, with what was not streamed', () => {
  const content: ModelPart[] = [
    { type: 'source', sourceType: 'url', id: 's', url: 'https://a.example' },
    { type: 'text' },
  ]
  const parts = new StreamParts()
  parts.ofEvent(request('model.invoke', 'gpt'))
  const stream = parts.ofEvent(answer('model.result', result('Hi.', { content })))
  expect(stream).toEqual([piece('Hi.'), { type: 'finish', ...of, answer: result('Hi.', { content }) }])
})
