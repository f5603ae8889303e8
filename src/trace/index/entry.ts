import type { StoredEvent } from '../../bus/driver.ts'
import { correlationOf, parseId, turnId } from '../../bus/ids.ts'
import type { CloudEvent } from '../../event.ts'
import { messageType } from '../../tasks/asked.ts'
import { dismissedType, retryType } from '../../tasks/fork.ts'
import type { Turn } from '../../tasks/program.ts'
import { turnType } from '../../tasks/turn.ts'
import { usageOf } from '../outcome.ts'
import { pack } from './packed.ts'
import { wordsOf } from './words.ts'

/** The indexed data of one event. */
export interface IndexEntry {
  /** The packed position. */
  readonly pos: number
  readonly id: string
  readonly correlation: string
  readonly type: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly idParts: IdParts | undefined
  readonly turn: Turn | undefined
  /** On an answer: the call of a task of the same correlation. */
  readonly answers: IdParts | undefined
  /** Whether it reports the failure of a task, outside of redrives and forks. */
  readonly failed: boolean
  /** The failed task that this event retries or dismisses. */
  readonly settles: IdParts | undefined
  readonly tokens: number
  readonly cost: number
  readonly words: string
}

/** The parts of a generated id: the hash that identifies the task within its correlation, and the rest. */
export interface IdParts {
  readonly hash: string
  readonly name: string
}

export function toIndexEntry({ position, event }: StoredEvent): IndexEntry {
  const { id, correlationid: correlation, type, time, call, replay, data } = event
  const place = splitId(id, correlation)
  const isRequest = type === 'agent.invoke' || type === 'agent.cancel' || type === messageType
  return {
    pos: pack(position),
    id,
    correlation,
    type,
    time: Date.parse(time) || 0,
    idParts: place,
    turn: type === turnType && place && isTurn(data) ? data : undefined,
    answers: call === undefined || isRequest ? undefined : splitId(call, correlation),
    failed: type === 'agent.task.failed' && place !== undefined && replay === undefined,
    settles: settledBy(event),
    ...usageOf([event]),
    words: wordsOf(event),
  }
}

function settledBy({ type, subject, retryof, correlationid }: CloudEvent): IdParts | undefined {
  const task = type === retryType ? retryof : type === dismissedType ? subject : undefined
  return task === undefined ? undefined : splitId(turnId(task, 1), correlationid)
}

/** Undefined for ids from outside and for ids of another correlation. */
export function splitId(id: string, correlation?: string): IdParts | undefined {
  const parsed = parseId(id)
  if (!parsed || (correlation !== undefined && correlationOf(parsed.task) !== correlation)) return undefined
  return { hash: parsed.task.slice(37), name: id.slice(parsed.task.length + 1) }
}

/** Validates turn data, because outside publishers may publish any data under this type. */
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
