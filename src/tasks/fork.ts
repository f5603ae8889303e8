import type { CloudEvent } from '../event.ts'
import type { EarlierCall } from './earlier-calls.ts'
import { asRequested, replayTarget } from './effects.ts'
import type { EmittedRef, RecordedTurn, Turn } from './program.ts'

/*
 * A fork starts a task whose first turns are those of another. All that it needs lies in one event, so that the other task may
 * be gone: the history as its program saw it, and what it decides upon now.
 *
 *     agent.fork ──▶ fold `turns` ──▶ turn 1: decide on `inputs`, ask again what is in `reissue` ──▶ turn 2 …
 *
 * Ids in the history stay as they were. A call that is asked again has a new id, which the program never sees: its answer is
 * given to it under the id that it knows.
 *
 * A retry (`agent.retry`) is the same for real: under the correlation of the task that failed, without a mark, and with the keys that its
 * calls had. See docs/decisions/0014-retry.md.
 */

export const forkType = 'agent.fork'
export const retryType = 'agent.retry'
/** Says, for its subject, that a person has seen the failure. */
export const dismissedType = 'control.dismissed'

/** Whether an event of this type asks its target, an agent or a workflow, for a task. */
export const isInvocation = (type: string): boolean => type === 'agent.invoke' || type === retryType

/** Whether a task that this event starts begins with the history of another one. */
export const isFork = (type: string): boolean => type === forkType || type === retryType

/** Data of `agent.fork` and `agent.retry`. */
export interface Fork {
  /** What started the task whose history this is. */
  readonly start: CloudEvent
  /** The state, as JSON, from which `turns` go on; absent when they go on from `start`. */
  readonly state?: string
  readonly turns: readonly ForkedTurn[]
  /** What the first turn decides upon. Empty: it only asks again. */
  readonly inputs: readonly CloudEvent[]
  /** Requests of which the program waits for the answer, and which neither `turns` nor `inputs` have. */
  readonly reissue: readonly CloudEvent[]
  /** Of a retry, by the id of a request in `reissue` for another agent: how its task goes on, whose id is the `retryof` of the request. */
  readonly retries?: Readonly<Record<string, Fork>>
  /** Of a retry: calls of the turn that failed. One that is made again keeps its keys. */
  readonly again?: readonly EarlierCall[]
  /** Of a retry that the runtime asks for in place of a program: what that asked. */
  readonly asked?: CloudEvent
  /** Of a retry: the hash of the program that the failed task began with. A workflow goes by that definition. */
  readonly definition?: string
}

/** A turn as its program saw it, its inputs with their data. */
export interface ForkedTurn {
  readonly turn: Turn
  readonly emitted: readonly CloudEvent[]
}

/**
 * The start of a forked task, as its program sees it: what comes of it is part of the fork, and nobody waits for it but who asked for the
 * retry of a task that it had called.
 */
export function forkedStart({ type, id, correlationid, hops, replay, data, ...fork }: CloudEvent): CloudEvent {
  const { replyto: _, call: __, deadline: ___, traceparent: ____, retryof: _____, ...start } = (data as Fork).start
  const { replyto, deadline, retryof } = fork
  return {
    ...start,
    correlationid,
    hops,
    ...(replay !== undefined && { replay }),
    ...(type === retryType && {
      ...(retryof !== undefined && { retryof }),
      ...(replyto !== undefined && { replyto, call: id }),
      ...(deadline !== undefined && { deadline }),
    }),
  }
}

/** The id under which the program knows a call that was asked again; undefined for all others. */
export type OriginalCall = (call: string) => string | undefined

function forkedInputs(fork: CloudEvent): readonly CloudEvent[] {
  const { inputs, start } = fork.data as Fork
  return inputs.map(input => (input.id === start.id ? forkedStart(fork) : input))
}

/** Inputs of a task as its program sees them. */
export function visibleInputs(inputs: readonly CloudEvent[], knownAs: OriginalCall): readonly CloudEvent[] {
  const isPlain = ({ type, call }: CloudEvent) => !isFork(type) && (call === undefined || knownAs(call) === undefined)
  if (inputs.every(isPlain)) return inputs
  return inputs.flatMap(input => {
    if (isFork(input.type)) return forkedInputs(input)
    const call = input.call === undefined ? undefined : knownAs(input.call)
    return [call === undefined ? input : { ...input, call }]
  })
}

/** What the program itself emitted in a turn, as it emitted it. */
export function visibleEmits(emits: readonly EmittedRef[], emitted: readonly CloudEvent[]): readonly CloudEvent[] {
  const own = emits.every(isOwn) ? emitted : emitted.filter((_, i) => isOwn(emits[i]!))
  const isOther = ({ type, target }: CloudEvent) => target === replayTarget || type === retryType
  return own.some(isOther) ? own.map(event => asInvoked(asRequested(event))) : own
}

/** A request as its program made it, where the runtime asked for a retry in its place. */
export function asInvoked(event: CloudEvent): CloudEvent {
  if (event.type !== retryType) return event
  const { retryof: _, ...request } = event
  const { start, asked = start } = event.data as Fork
  return { ...request, type: 'agent.invoke', data: asked.data }
}

/** A recorded turn as its program sees it. */
export function visibleTurn({ turn, inputs, emitted }: RecordedTurn, knownAs: OriginalCall): RecordedTurn {
  return {
    turn: turn.emits.every(isOwn) ? turn : { ...turn, emits: turn.emits.filter(isOwn) },
    inputs: visibleInputs(inputs, knownAs),
    emitted: visibleEmits(turn.emits, emitted),
  }
}

const isOwn = ({ wait }: EmittedRef) => wait?.as === undefined
