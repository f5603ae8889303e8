import { expect, it } from 'vitest'
import { createEvent } from '../event.ts'
import { StreamParts } from './parts.ts'

const request = (type: string, target: string) =>
  createEvent({ id: 'call', type, source: '/agents/clerk', target, replyto: 'clerk', data: { input: 1, step: 'look' } })
const answer = (type: string, data: unknown) => createEvent({ type, source: '/x', target: 'clerk', call: 'call', data })
const signal = (type: string, data: unknown) =>
  createEvent({ type, source: '/models/gpt', subject: 'call', target: 'clerk', data })
const of = { agent: 'clerk', call: 'call' }

it('keeps signals that overtake their call, and drops those that come after the answer', () => {
  const parts = new StreamParts()
  expect(parts.ofSignal(signal('model.delta', { text: 'Hel' }))).toEqual([])
  expect(parts.ofEvent(request('model.invoke', 'gpt'))).toEqual([{ type: 'text', ...of, name: 'gpt', text: 'Hel' }])
  expect(parts.ofSignal(signal('model.delta', { text: 'lo' }))).toEqual([
    { type: 'text', ...of, name: 'gpt', text: 'lo' },
  ])
  expect(parts.ofEvent(answer('model.result', { text: 'Hello.' }))).toEqual([
    { type: 'text', ...of, name: 'gpt', text: '.' },
  ])
  expect(parts.ofSignal(signal('model.delta', { text: '.' }))).toEqual([])
})

it('begins a text again if an attempt failed', () => {
  const parts = new StreamParts()
  parts.ofEvent(request('model.invoke', 'gpt'))
  parts.ofSignal(signal('model.delta', { text: 'Good mor' }))
  expect(parts.ofEvent(answer('model.result', { text: 'Hello.' }))).toEqual([
    { type: 'text', ...of, name: 'gpt', text: 'Hello.', restart: true },
  ])
})

it('names a step, and shows progress after its call', () => {
  const parts = new StreamParts()
  expect(parts.ofSignal(signal('tool.progress', 50))).toEqual([])
  expect(parts.ofEvent(request('step.invoke', 'clerk'))).toEqual([
    { type: 'call', ...of, name: 'look', input: 1 },
    { type: 'progress', ...of, name: 'look', data: 50 },
  ])
  expect(parts.ofEvent(answer('step.failed', { error: { code: 'E_TOOL_THREW', message: 'no' } }))).toMatchObject([
    { type: 'answer', ...of, name: 'look', error: { code: 'E_TOOL_THREW' } },
  ])
})
