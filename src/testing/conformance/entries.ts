import { randomUUIDv7 } from 'node:crypto'
import { emitId, correlationOf, taskId, turnId } from '../../bus/ids.ts'
import type { AppendResult, Commit, EncodedEvent, DeliveryOutcome } from '../../bus/driver.ts'
import type { Reason } from '../../bus/reason.ts'
import { createEvent, type Draft } from '../../event.ts'

export const hour = 3_600_000

export const done: DeliveryOutcome = { kind: 'done' }
export const because = (message: string): Reason => ({ code: 'E_INTERNAL', message, next: 'Wait.', data: { n: 1 } })
export const retry = (after: number, text = 'not now'): DeliveryOutcome => ({
  kind: 'retry',
  after,
  reason: because(text),
})
export const discard = (text: string): DeliveryOutcome => ({ kind: 'discard', reason: because(text) })
export const park = (text: string, key?: string): DeliveryOutcome => ({
  kind: 'park',
  reason: because(text),
  ...(key && { key }),
})

/** A draft as the bus passes it to a driver. `time` may be in the past, for purges. */
export function entry({ time, ...draft }: Partial<Draft> & { time?: string } = {}): EncodedEvent {
  const event = { ...createEvent({ type: 'job.made', data: null, ...draft }), ...(time && { time }) }
  return { event, json: JSON.stringify(event) }
}

export function entries(count: number, draft: (n: number) => Parameters<typeof entry>[0] = () => ({})): EncodedEvent[] {
  return Array.from({ length: count }, (_, n) => entry({ data: { n }, ...draft(n) }))
}

/** Entries of one correlation, within which a log has an order. */
export function related(count: number, draft: (n: number) => Parameters<typeof entry>[0] = () => ({})): EncodedEvent[] {
  const correlationid = randomUUIDv7()
  return entries(count, n => ({ correlationid, ...draft(n) }))
}

export const newTask = (correlation: string = randomUUIDv7()) => taskId(correlation, 'program', randomUUIDv7())

/** An input of a task: events of this type go to the group of `worker`. */
export const input = (task: string, draft: Parameters<typeof entry>[0] = {}) =>
  entry({ type: 'task.input', correlationid: correlationOf(task), data: { task }, ...draft })

/** An event that the given turn of a task emits. */
export const emitted = (task: string, version: number, ordinal: number, draft: Parameters<typeof entry>[0] = {}) =>
  entry({ id: emitId(task, version, ordinal), correlationid: correlationOf(task), ...draft })

/** A commit of the turn after version `expect` of a task. */
export function turn(task: string, expect: number, more: Partial<Commit> & { time?: string } = {}): Commit {
  const { time, ...rest } = more
  const id = turnId(task, expect + 1)
  const record = entry({ id, type: 'task.turn', correlationid: correlationOf(task), ...(time && { time }) })
  return { group: 'tasks', task, expect, turn: record, events: [], settle: [], wake: null, ...rest }
}

export const ids = (list: readonly { event: { id: string } }[]) => list.map(item => item.event.id)
export const positions = (list: readonly AppendResult[]) => list.map(item => item.position)
