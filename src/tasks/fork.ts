import type { CloudEvent } from '../event.ts'
import { asAsked, replayTarget } from './effects.ts'
import type { Emit, RecordedTurn, Turn } from './program.ts'

/*
 * A fork starts a task whose first turns are those of another. All that it needs lies in one event, so that the other task may
 * be gone: the history as its program saw it, and what it decides upon now.
 *
 *     agent.fork ──▶ fold `turns` ──▶ turn 1: decide on `inputs`, ask again what is in `reissue` ──▶ turn 2 …
 *
 * Ids in the history stay as they were. A call that is asked again has a new id, which the program never sees: its answer is
 * given to it under the id that it knows.
 */

export const forkType = 'agent.fork'

/** Data of `agent.fork`. */
export interface Fork {
  /** What started the task whose history this is. */
  readonly start: CloudEvent
  /** The state, as JSON, from which `turns` go on; absent when they go on from `start`. */
  readonly state?: string
  readonly turns: readonly PastTurn[]
  /** What the first turn decides upon. Empty: it only asks again. */
  readonly inputs: readonly CloudEvent[]
  /** Requests of which the program waits for the answer, and which neither `turns` nor `inputs` have. */
  readonly reissue: readonly CloudEvent[]
}

/** A turn as its program saw it, its inputs with their data. */
export interface PastTurn {
  readonly turn: Turn
  readonly emitted: readonly CloudEvent[]
}

/** The start of a forked task, as its program sees it: nobody waits for it, and what comes of it is part of the fork. */
export function forkedStart({ correlationid, hops, replay, data }: CloudEvent): CloudEvent {
  const { replyto: _, call: __, deadline: ___, traceparent: ____, ...start } = (data as Fork).start
  return { ...start, correlationid, hops, ...(replay !== undefined && { replay }) }
}

/** The id under which the program knows a call that was asked again; undefined for all others. */
export type KnownAs = (call: string) => string | undefined

function forkedInputs(fork: CloudEvent): readonly CloudEvent[] {
  const { inputs, start } = fork.data as Fork
  return inputs.map(input => (input.id === start.id ? forkedStart(fork) : input))
}

/** Inputs of a task as its program sees them. */
export function inputsSeen(inputs: readonly CloudEvent[], knownAs: KnownAs): readonly CloudEvent[] {
  const isPlain = ({ type, call }: CloudEvent) =>
    type !== forkType && (call === undefined || knownAs(call) === undefined)
  if (inputs.every(isPlain)) return inputs
  return inputs.flatMap(input => {
    if (input.type === forkType) return forkedInputs(input)
    const call = input.call === undefined ? undefined : knownAs(input.call)
    return [call === undefined ? input : { ...input, call }]
  })
}

/** What the program itself emitted in a turn, as it emitted it. */
export function emissionsOf(emits: readonly Emit[], emitted: readonly CloudEvent[]): readonly CloudEvent[] {
  const own = emits.every(isOwn) ? emitted : emitted.filter((_, i) => isOwn(emits[i]!))
  return own.some(({ target }) => target === replayTarget) ? own.map(asAsked) : own
}

/** A recorded turn as its program sees it. */
export function turnSeen({ turn, inputs, emitted }: RecordedTurn, knownAs: KnownAs): RecordedTurn {
  return {
    turn: turn.emits.every(isOwn) ? turn : { ...turn, emits: turn.emits.filter(isOwn) },
    inputs: inputsSeen(inputs, knownAs),
    emitted: emissionsOf(turn.emits, emitted),
  }
}

const isOwn = ({ wait }: Emit) => wait?.as === undefined
