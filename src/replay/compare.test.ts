import { expect, it } from 'vitest'
import { emittedHash } from '../tasks/turn.ts'
import { compareEmits, comparableEmits } from './compare.ts'

const emits = (data: object) => {
  const emit = { id: 'task:0000001:0', type: 'agent.task.failed' }
  return comparableEmits([{ ...emit, hash: emittedHash(data) }], [{ ...emit, data } as never])
}

const error = { code: 'E_PROGRAM_FAILED', message: 'no stock' }

it.each([
  ['the advice of an error', { error: { ...error, next: 'Correct the code.' } }, { error: { ...error, next: 'Fix the code.' } }],
  ['the advice of an error that a workflow passes on', { order: 1, last: [{ ...error, next: 'Wait.' }] }, { order: 1, last: [error] }],
])('%s may differ', (_, before, after) => {
  expect(compareEmits(emits(before), emits(after))).toEqual([])
}) // biome-ignore format: one table

it.each([
  ['the message of an error', { error: { ...error, next: 'a' } }, { error: { ...error, next: 'b', message: 'other' } }],
  ['a field of the program with the same name', { next: 'a', code: 1 }, { next: 'b', code: 1 }],
])('%s may not differ', (_, before, after) => {
  expect(compareEmits(emits(before), emits(after))).toMatchObject([{ kind: 'changed' }])
}) // biome-ignore format: one table
