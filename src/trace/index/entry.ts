import type { Position, StoredEvent } from '../../bus/driver.ts'
import { correlationOf, parseId, turnId } from '../../bus/ids.ts'
import type { CloudEvent } from '../../event.ts'
import { dismissedType, retryType } from '../../tasks/fork.ts'
import type { Turn } from '../../tasks/program.ts'
import { turnType } from '../../tasks/turn.ts'
import { spentBy } from '../outcome.ts'
import { wordsOf } from './words.ts'

/** What the index takes from one event. */
export interface Entry {
  readonly position: Position
  readonly id: string
  readonly correlation: string
  readonly type: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly place: Place | undefined
  readonly turn: Turn | undefined
  /** On an answer: the call of a task of the same correlation. */
  readonly answers: Place | undefined
  /** It says that its task failed, for real. */
  readonly failed: boolean
  /** The task whose failure is dealt with by now: it goes on as another one, or somebody dismissed it. */
  readonly settles: Place | undefined
  readonly tokens: number
  readonly cost: number
  readonly words: string
}

/** The two parts of an id that the runtime made: what tells tasks of a correlation apart, and the rest. */
export interface Place {
  readonly hash: string
  readonly name: string
}

export function entryOf({ position, event }: StoredEvent): Entry {
  const { id, correlationid: correlation, type, time, call, replay, data } = event
  const place = placeOf(id, correlation)
  const isRequest = type === 'agent.invoke' || type === 'agent.cancel'
  return {
    position,
    id,
    correlation,
    type,
    time: Date.parse(time) || 0,
    place,
    turn: type === turnType && place && isTurn(data) ? data : undefined,
    answers: call === undefined || isRequest ? undefined : placeOf(call, correlation),
    failed: type === 'agent.task.failed' && place !== undefined && replay === undefined,
    settles: settledBy(event),
    ...spentBy([event]),
    words: wordsOf(event),
  }
}

function settledBy({ type, subject, retryof, correlationid }: CloudEvent): Place | undefined {
  const task = type === retryType ? retryof : type === dismissedType ? subject : undefined
  return task === undefined ? undefined : placeOf(turnId(task, 1), correlationid)
}

/** Undefined for ids from outside, and for those of another correlation. */
export function placeOf(id: string, correlation?: string): Place | undefined {
  const parsed = parseId(id)
  if (!parsed || (correlation !== undefined && correlationOf(parsed.task) !== correlation)) return undefined
  return { hash: parsed.task.slice(37), name: id.slice(parsed.task.length + 1) }
}

/** Whoever may publish on a broker may publish anything under this type. */
function isTurn(data: unknown): data is Turn {
  const turn = data as Partial<Turn> | null
  return (
    typeof turn?.program === 'string' &&
    typeof turn.programHash === 'string' &&
    [turn.programVersion, turn.version, turn.at].every(Number.isSafeInteger) &&
    (turn.end === undefined || typeof turn.end === 'string') &&
    isListOfIds(turn.inputs) &&
    isListOfIds(turn.emits) &&
    (turn.withdrawn === undefined ||
      (Array.isArray(turn.withdrawn) && turn.withdrawn.every(id => typeof id === 'string'))) &&
    turn.emits.every(({ wait }) => wait === undefined || typeof wait?.target === 'string')
  )
}

const isListOfIds = (list: unknown): list is { id: string }[] =>
  Array.isArray(list) && list.every(each => typeof each?.id === 'string')
