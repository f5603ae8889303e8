import type { StoredEvent } from '../../bus/driver.ts'
import { correlationOf, parseId, turnId } from '../../bus/ids.ts'
import type { CloudEvent } from '../../event.ts'
import { messageType } from '../../tasks/asked.ts'
import { dismissedType, retryType } from '../../tasks/fork.ts'
import type { Turn } from '../../tasks/program.ts'
import { turnType } from '../../tasks/turn.ts'
import { amount, problemOf, usageOf } from '../outcome.ts'
import { publisherOf } from '../publisher.ts'
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
  readonly tenant: string
  readonly user: string | undefined
  readonly source: string
  readonly idParts: IdParts | undefined
  readonly turn: Turn | undefined
  /** On an answer: the call of a task of the same correlation. */
  readonly answers: IdParts | undefined
  /** Whether it reports the failure of a task, outside of redrives and forks. */
  readonly failed: boolean
  /** The failed task that this event retries or dismisses. */
  readonly settles: IdParts | undefined
  /** Whether it is the answer of a tapped call that failed, for which there is no task. */
  readonly failedCall: boolean
  /** On the failure of a task: its code. */
  readonly problem: string | undefined
  /** On an answer of a model. */
  readonly answer: ModelAnswer | undefined
  readonly tokens: number
  readonly cost: number
  readonly words: string
}

/** An answer of a model, or its failure. */
export interface ModelAnswer {
  readonly model: string
  readonly failed: boolean
  readonly input: number
  readonly output: number
  readonly cached: number
  readonly reasoning: number
  readonly cost: number
}

/** The parts of a generated id: the hash that identifies the task within its correlation, and the rest. */
export interface IdParts {
  readonly hash: string
  readonly name: string
}

export function toIndexEntry({ position, event }: StoredEvent): IndexEntry {
  const { id, correlationid: correlation, type, time, tenant, user, source, call, replay, data } = event
  const place = splitId(id, correlation)
  const isRequest = type === 'agent.invoke' || type === 'agent.cancel' || type === messageType
  return {
    pos: pack(position),
    id,
    correlation,
    type,
    time: Date.parse(time) || 0,
    tenant,
    user,
    source,
    idParts: place,
    turn: type === turnType && place && isTurn(data) ? data : undefined,
    answers: call === undefined || isRequest ? undefined : splitId(call, correlation),
    failed: type === 'agent.task.failed' && place !== undefined && replay === undefined,
    settles: settledBy(event),
    failedCall: publisherOf(source).kind === 'tap' && problemOf(event) !== undefined,
    problem: type === 'agent.task.failed' ? codeIn(data) : undefined,
    answer: modelAnswer(event),
    ...usageOf([event]),
    words: wordsOf(event),
  }
}

const codeIn = (data: unknown) => {
  const code = (data as { error?: { code?: unknown } | null } | null)?.error?.code
  return typeof code === 'string' ? code : undefined
}

/** Of a model, not of what stands in for one in a redrive or a fork. */
function modelAnswer(event: CloudEvent): ModelAnswer | undefined {
  const { type, source, subject, data } = event
  const { kind, name } = publisherOf(source)
  // A tap is no model: the subject of what it records is.
  const model = kind === 'tap' ? subject : kind === 'model' ? name : undefined
  if (model === undefined || (type !== 'model.result' && type !== 'model.failed')) return undefined
  const { usage, cost } = (data ?? {}) as { usage?: Record<string, unknown> | null; cost?: unknown }
  return {
    model,
    failed: type === 'model.failed',
    input: amount(usage?.input),
    output: amount(usage?.output),
    cached: amount(usage?.cached),
    reasoning: amount(usage?.reasoning),
    cost: amount(cost),
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
