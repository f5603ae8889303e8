import { readCursor } from '../../bus/cursor.ts'
import type { Cursor } from '../../bus/driver.ts'
import { correlationOf, isCorrelation, isTaskId } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { compileFilter, type Filter, isTypePattern } from '../../pattern.ts'
import { namesTurns, turnType } from '../../tasks/turn.ts'

const maxTypes = 64
const maxUserLength = 256
/** The last one identifies a browser, which cannot send a header with a WebSocket. The check of credentials reads it. */
const parameters = ['user', 'correlation', 'task', 'type', 'after', 'rows', 'ticket']

/** What a stream shows, and from where on. All that is given must match. */
export interface StreamQuery {
  /** The `user` attribute of events. */
  readonly user?: string | undefined
  readonly correlation?: string | undefined
  readonly task?: string | undefined
  /** Patterns; one of them must match. All types but `task.turn` by default. */
  readonly types?: readonly string[]
  /** The `id` or `cursor` of the last message that the client got. */
  readonly after?: string | undefined
  /** `1`: rows instead of events. */
  readonly rows?: string | undefined
}

/** A valid query. */
export interface StreamRequest {
  readonly user?: string
  /** Set also for a stream of a task. */
  readonly correlation?: string
  readonly task?: string
  /** Undefined for all types. */
  readonly filter?: Filter
  /** Start after this cursor; undefined if the client names none. */
  readonly after?: Cursor
  /** The client asks for what is kept, from the oldest event on. */
  readonly isFromOldest: boolean
  /** The client gets rows: see `trace/slim.ts`. */
  readonly asRows: boolean
  /** By user, task and type. The correlation is a matter of {@link StreamScope}, because of linked instances. */
  matches(event: CloudEvent): boolean
}

/** @throws E_REQUEST_INVALID */
export function streamRequest({ user, correlation, task, types = [], after, rows }: StreamQuery): StreamRequest {
  if (user !== undefined && (user === '' || user.length > maxUserLength))
    throw invalid('user', `must have 1 to ${maxUserLength} characters`)
  if (correlation !== undefined && !isCorrelation(correlation))
    throw invalid('correlation', 'must be a UUID in lower case')
  if (task !== undefined && !isTaskId(task)) throw invalid('task', 'must be the id of a task')
  if (task !== undefined && correlation !== undefined && correlationOf(task) !== correlation)
    throw invalid('correlation', 'must be that of the task, or absent')
  if (types.length > maxTypes) throw invalid('type', `may be given at most ${maxTypes} times`)
  for (const type of types)
    if (!isTypePattern(type)) throw invalid('type', 'must be a type or a pattern, such as order.*')
  if (rows !== undefined && rows !== '1') throw invalid('rows', 'must be 1 or absent')
  const home = correlation ?? (task === undefined ? undefined : correlationOf(task))
  const filter = types.length > 0 ? [{ types }] : undefined
  const ofType = typeMatcher(types, filter)
  return {
    ...(user !== undefined && { user }),
    ...(home !== undefined && { correlation: home }),
    ...(task !== undefined && { task }),
    ...(filter && { filter }),
    ...(after !== undefined && { after: cursorFrom(after) }),
    isFromOldest: after === '0' || (after === undefined && home !== undefined),
    asRows: rows !== undefined,
    matches: event =>
      (user === undefined || event.user === user) && (task === undefined || isOfTask(event, task)) && ofType(event),
  }
}

/**
 * Reads `?user=…&correlation=…&task=…&type=…&type=…&after=…&rows=1`. `Last-Event-ID` has precedence over `after`, because a browser reconnects
 * with an unchanged URL. @throws E_REQUEST_INVALID
 */
export function readStreamRequest(query: Record<string, string[]>, lastEventId: string | undefined): StreamRequest {
  for (const name of Object.keys(query))
    if (!parameters.includes(name)) throw invalid(name, `is unknown: expected ${parameters.slice(0, -1).join(', ')}`)
  const single = (name: string) => singleValue(name, query[name])
  const [user, correlation, task, after, rows] = ['user', 'correlation', 'task', 'after', 'rows'].map(single)
  return streamRequest({ user, correlation, task, types: query.type ?? [], after: lastEventId ?? after, rows })
}

export function singleValue(name: string, values: readonly string[] = []): string | undefined {
  if (values.length > 1) throw invalid(name, 'may be given once')
  return values[0]
}

export const invalid = (name: string, problem: string) =>
  new TidingsError('E_REQUEST_INVALID', `parameter ${JSON.stringify(name.slice(0, 64))} ${problem}`)

function cursorFrom(after: string): Cursor {
  try {
    return readCursor(after)
  } catch {
    throw invalid('after', 'and Last-Event-ID must be a cursor: the id of an event of this stream')
  }
}

function typeMatcher(types: readonly string[], filter: Filter | undefined) {
  const ofType = filter ? compileFilter(filter) : () => true
  const turns = namesTurns(types)
  return (event: CloudEvent) => (turns || event.type !== turnType) && ofType(event)
}

/** Its turns, what these emitted, the answers to that, what is sent to the task, and signals about its calls. */
const isOfTask = ({ id, subject }: CloudEvent, task: string) =>
  id.startsWith(`${task}:`) || subject === task || (subject?.startsWith(`${task}:`) ?? false)
