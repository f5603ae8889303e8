import type { CloudEvent } from '../event.ts'
import { retryType, type Fork } from './fork.ts'
import type { EmittedRef } from './program.ts'

/*
 * The turn in which a task failed may have made calls, and nobody knows what came of them. Its retry decides that turn once more: a call
 * that is made again, with the same data, keeps the keys that it had.
 */

/** A call that was made before. */
export interface EarlierCall {
  readonly type: string
  readonly target: string
  /** Digest of the data. */
  readonly hash: string
  /** By which straight-line code recognises it. */
  readonly key?: string
  /** Its idempotency key; of a call of an agent its id. */
  readonly id: string
  /** Of a call of an agent that has begun: its task, and how that goes on. */
  readonly retry?: { readonly of: string; readonly fork: Fork }
}

/** Calls of a turn that was decided and does not hold. */
export function earlierCallsIn(emits: readonly EmittedRef[], emitted: readonly CloudEvent[]): EarlierCall[] {
  return emits.flatMap(({ id, type, hash, wait }, i) =>
    !wait || wait.as !== undefined
      ? []
      : [
          {
            type,
            target: wait.target,
            hash,
            id: type === 'agent.invoke' ? id : (emitted[i]?.retryof ?? id),
            ...(wait.key !== undefined && { key: wait.key }),
          },
        ],
  )
}

/** The one among them that a call is. */
export function findEarlierCall(
  made: readonly EarlierCall[],
  { type, hash, wait }: Pick<EmittedRef, 'type' | 'hash' | 'wait'>,
): EarlierCall | undefined {
  if (!wait || wait.as !== undefined) return undefined
  return made.find(
    each => each.type === type && each.target === wait.target && each.hash === hash && each.key === wait.key,
  )
}

/** A call as it is made again: with the key that it had; an agent that has begun goes on. */
export function repeatCall(call: CloudEvent, { id, retry }: EarlierCall): CloudEvent {
  if (call.type !== 'agent.invoke') return { ...call, retryof: id }
  return retry ? { ...call, type: retryType, data: { ...retry.fork, asked: call }, retryof: retry.of } : call
}

/** Those that no call of a turn is. */
export function remainingAfter(made: readonly EarlierCall[], emits: readonly EmittedRef[]): readonly EarlierCall[] {
  let left = made
  for (const emit of left.length > 0 ? emits : []) {
    const found = findEarlierCall(left, emit)
    if (found) left = left.filter(each => each !== found)
  }
  return left
}
