import type { CloudEvent } from '../event.ts'
import { retryType, type Fork } from './fork.ts'
import type { EmittedRef } from './program.ts'

/*
 * The turn in which a task failed may have made calls whose results are unknown. The retry decides that turn once more. A call that it
 * repeats with the same data keeps its idempotency key.
 */

/** A call that the failed task made. */
export interface EarlierCall {
  readonly type: string
  readonly target: string
  /** Digest of the data. */
  readonly hash: string
  /** The key by which straight-line code identifies it. */
  readonly key?: string
  /** The idempotency key; for a call of an agent, the id of the call. */
  readonly id: string
  /** If the called agent has started: its task, and how to continue it. */
  readonly retry?: { readonly of: string; readonly fork: Fork }
}

/** The calls of a turn that was not accepted. */
export function earlierCallsIn(emits: readonly EmittedRef[], emitted: readonly CloudEvent[]): EarlierCall[] {
  return emits.flatMap(({ id, type, hash, wait }, i) => {
    if (!wait || wait.as !== undefined) return []
    const first = type === 'agent.invoke' ? id : (emitted[i]?.retryof ?? id)
    return { type, target: wait.target, hash, id: first, ...(wait.key !== undefined && { key: wait.key }) }
  })
}

export function findEarlierCall(made: readonly EarlierCall[], emit: EmittedRef): EarlierCall | undefined {
  const { type, hash, wait } = emit
  if (!wait || wait.as !== undefined) return undefined
  return made.find(
    each => each.type === type && each.target === wait.target && each.hash === hash && each.key === wait.key,
  )
}

/** A repeated call: with its earlier key, or as a retry of the agent's task if that has started. */
export function repeatCall(call: CloudEvent, { id, retry }: EarlierCall): CloudEvent {
  if (call.type !== 'agent.invoke') return { ...call, retryof: id }
  return retry ? { ...call, type: retryType, data: { ...retry.fork, asked: call }, retryof: retry.of } : call
}

export function remainingAfter(made: readonly EarlierCall[], emits: readonly EmittedRef[]): readonly EarlierCall[] {
  let left = made
  for (const emit of left.length > 0 ? emits : []) {
    const found = findEarlierCall(left, emit)
    if (found) left = left.filter(each => each !== found)
  }
  return left
}
