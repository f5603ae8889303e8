import { expect, test } from 'vitest'
import { conversationOf } from '../../console/src/views/task/conversation.ts'
import { changesBetween } from '../../console/src/views/task/state-changes.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { TurnDetails } from '../../src/trace/details.ts'

test('what changed in a state is a list of paths', () => {
  const before = { phase: 'asked', lines: [{ n: 1 }, { n: 2 }], gone: true, same: { deep: [1] } }
  const after = { phase: 'paid', lines: [{ n: 1 }, { n: 3 }, { n: 4 }], same: { deep: [1] }, sum: null }
  expect(changesBetween(before, after)).toEqual([
    { path: 'phase', before: 'asked', after: 'paid' },
    { path: 'lines[1].n', before: 2, after: 3 },
    { path: 'lines[2]', after: { n: 4 } },
    { path: 'gone', before: true },
    { path: 'sum', after: null },
  ])
  expect(changesBetween(undefined, { a: 1 })).toEqual([{ path: '', after: { a: 1 } }])
})

const event = (id: string, type: string, data: unknown, more: object = {}) =>
  ({ id, type, data, source: '/agents/helper', ...more }) as CloudEvent
const turn = (version: number, inputs: CloudEvent[], emitted: CloudEvent[], more: object = {}) =>
  ({
    version,
    inputs,
    emitted,
    emits: emitted.map(({ id, type, replyto }) => ({ id, type, ...(replyto && { wait: {} }) })),
    ...more,
  }) as unknown as TurnDetails

test('a call is shown with its answer of a later turn, an open model call not at all, and an answer once', () => {
  const asked = event('start', 'agent.invoke', { input: 'When?' })
  const model = event('m', 'model.invoke', {}, { replyto: 'helper' })
  const search = event('t', 'tool.invoke', { input: 1 }, { replyto: 'helper' })
  const found = event('t:result', 'tool.result', { output: 2 }, { call: 't' })
  const said = event('m2:result', 'model.result', { text: 'Now.', toolCalls: [] }, { call: 'm2' })
  const end = event('e', 'agent.task.completed', { output: 'Now.' })
  const conversation = conversationOf([
    turn(3, [said], [end]),
    turn(1, [asked], [model]),
    turn(2, [found, event('note', 'agent.message', { message: 'And?' })], [search]),
  ])
  expect([...conversation.values()].flat()).toMatchObject([
    { kind: 'message', content: 'When?' },
    { kind: 'message', content: 'And?' },
    { kind: 'call', request: { id: 't' }, answer: { id: 't:result' } },
    { kind: 'answer', result: { text: 'Now.' } },
    { kind: 'end', isAnswer: true },
  ])
})
