import type { CloudEvent } from '../event.ts'
import type { EarlierCall } from './earlier-calls.ts'
import { asRequested, replayTarget } from './effects.ts'
import type { EmittedRef, RecordedTurn } from './program.ts'

/*
 * A fork starts a task with the first turns of another task. One event contains everything that it needs, so that the other task may be
 * purged: the history as its program saw it, and the inputs to decide on.
 *
 *     agent.fork ──▶ fold `turns` ──▶ turn 1: decide on `inputs`, repeat the calls in `reissue` ──▶ turn 2 …
 *
 * Ids in the history stay as they were. A repeated call has a new id, which the program never sees: it gets the answer under the id that
 * it knows.
 *
 * A retry (`agent.retry`) works the same way with real effects: in the correlation of the failed task, without `replay`, and with the
 * idempotency keys of its calls. See docs/decisions/0014-retry.md.
 */

export const forkType = 'agent.fork'
export const retryType = 'agent.retry'
/** Records that a person has seen the failure of its subject. */
export const dismissedType = 'control.dismissed'

/** Whether an event of this type starts a task of its target, an agent or workflow. */
export const isInvocation = (type: string): boolean => type === 'agent.invoke' || type === retryType

/** Whether a task that an event of this type starts has the history of another task. */
export const isFork = (type: string): boolean => type === forkType || type === retryType

/** Data of `agent.fork` and `agent.retry`. */
export interface Fork {
  /** The event that started the original task. */
  readonly start: CloudEvent
  /** The state as JSON before `turns`; absent if they begin with `start`. */
  readonly state?: string
  /** The history, as the program saw it. */
  readonly turns: readonly RecordedTurn[]
  /** The inputs of the first turn. Empty if it only repeats calls. */
  readonly inputs: readonly CloudEvent[]
  /** Open calls of the program, whose answers are neither in `turns` nor in `inputs`. */
  readonly reissue: readonly CloudEvent[]
  /** In a retry, by the id of a request in `reissue` to another agent: how to continue its task, which is the `retryof` of the request. */
  readonly retries?: Readonly<Record<string, Fork>>
  /** In a retry: calls of the failed turn. A repeated one keeps its idempotency key. */
  readonly again?: readonly EarlierCall[]
  /** In a retry that the runtime requests instead of the program: the request of the program. */
  readonly asked?: CloudEvent
  /** In a retry: the hash of the program that the failed task started with. A workflow keeps that definition. */
  readonly definition?: string
}

/**
 * The start of a forked task as its program sees it: the original start in the correlation of the fork. No caller waits for a fork; for
 * the retry of a called task, its caller does.
 */
export function forkedStart({ type, id, correlationid, hops, replay, data, ...fork }: CloudEvent): CloudEvent {
  const { replyto: _, call: __, deadline: ___, traceparent: ____, retryof: _____, ...start } = (data as Fork).start
  const { replyto, call, deadline, retryof } = fork
  return {
    ...start,
    correlationid,
    hops,
    ...(replay !== undefined && { replay }),
    ...(type === retryType && {
      ...(retryof !== undefined && { retryof }),
      ...(replyto !== undefined && { replyto, call: call ?? id }),
      ...(deadline !== undefined && { deadline }),
    }),
  }
}

/** The id under which the program knows a repeated call; undefined for all other calls. */
export type OriginalCall = (call: string) => string | undefined

function forkedInputs(fork: CloudEvent): readonly CloudEvent[] {
  const { inputs, start } = fork.data as Fork
  return inputs.map(input => (input.id === start.id ? forkedStart(fork) : input))
}

/** The inputs of a turn as the program sees them. */
export function visibleInputs(inputs: readonly CloudEvent[], knownAs: OriginalCall): readonly CloudEvent[] {
  const isPlain = ({ type, call }: CloudEvent) => !isFork(type) && (call === undefined || knownAs(call) === undefined)
  if (inputs.every(isPlain)) return inputs
  return inputs.flatMap(input => {
    if (isFork(input.type)) return forkedInputs(input)
    const call = input.call === undefined ? undefined : knownAs(input.call)
    return [call === undefined ? input : { ...input, call }]
  })
}

/** The events that the program itself emitted in a turn, in their original form. */
export function visibleEmits(emits: readonly EmittedRef[], emitted: readonly CloudEvent[]): readonly CloudEvent[] {
  const own = emits.every(isOwn) ? emitted : emitted.filter((_, i) => isOwn(emits[i]!))
  const isOther = ({ type, target }: CloudEvent) => target === replayTarget || type === retryType
  return own.some(isOther) ? own.map(event => asInvoked(asRequested(event))) : own
}

/** A request in its original form, if the runtime sent a retry instead. */
export function asInvoked(event: CloudEvent): CloudEvent {
  if (event.type !== retryType) return event
  const { retryof: _, ...request } = event
  const { start, asked = start } = event.data as Fork
  return { ...request, type: 'agent.invoke', data: asked.data }
}

export function visibleTurn({ turn, emitted }: RecordedTurn, knownAs: OriginalCall): RecordedTurn {
  const { inputs, emits } = turn
  return {
    turn: { ...turn, inputs: visibleInputs(inputs, knownAs), emits: emits.filter(isOwn) },
    emitted: visibleEmits(emits, emitted),
  }
}

const isOwn = ({ wait }: EmittedRef) => wait?.as === undefined
