import type { Position } from '../bus/driver.ts'
import { isCorrelation } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { compileFilter, type Filter, isTypePattern, matchesType } from '../pattern.ts'

const maxTypes = 64
const parameters = new Set(['correlation', 'type', 'after', 'as'])
const turnType = 'task.turn'

/** What a client of the stream asks for. */
export interface StreamRequest {
  readonly correlation?: string
  /** Of its types; undefined for all. */
  readonly filter?: Filter
  /** Everything after this position; undefined where the client does not say. */
  readonly after?: Position
  /** Events come without their type as the name, for `onmessage` of a browser. */
  readonly isUnnamed: boolean
  /** Whether it is of a type that the client wants. */
  matches(event: CloudEvent): boolean
}

/**
 * Reads `?correlation=…&type=…&type=…&after=…&as=message`. A `Last-Event-ID` goes before `after`, since a browser repeats the
 * address unchanged when it comes back. @throws E_REQUEST_INVALID
 */
export function readStreamRequest(query: Record<string, string[]>, lastEventId: string | undefined): StreamRequest {
  for (const name of Object.keys(query))
    if (!parameters.has(name)) throw invalid(name, `is unknown: expected ${[...parameters].join(', ')}`)
  const { type: types = [] } = query
  if (types.length > maxTypes) throw invalid('type', `may be given ${maxTypes} times`)
  for (const type of types)
    if (!isTypePattern(type)) throw invalid('type', 'must be a type or a pattern, such as order.*')
  const correlation = only('correlation', query.correlation)
  if (correlation !== undefined && !isCorrelation(correlation))
    throw invalid('correlation', 'must be a UUID in lower case')
  const after = lastEventId === undefined ? only('after', query.after) : lastEventId
  if (after !== undefined && !/^\d{1,15}$/.test(after))
    throw invalid('after', 'and Last-Event-ID must be a log position')
  const as = only('as', query.as)
  if (as !== undefined && as !== 'message') throw invalid('as', 'must be message, or absent')
  const filter = types.length > 0 ? [{ types }] : undefined
  return {
    ...(correlation !== undefined && { correlation }),
    ...(filter && { filter }),
    ...(after !== undefined && { after: Number(after) }),
    isUnnamed: as === 'message',
    matches: matcher(types, filter),
  }
}

function matcher(types: readonly string[], filter: Filter | undefined) {
  const ofType = filter ? compileFilter(filter) : () => true
  // Turns repeat what the other events say; they are for those who ask for them by their name.
  const turns = types.some(type => type.startsWith('task') && matchesType(type, turnType))
  return (event: CloudEvent) => (turns || event.type !== turnType) && ofType(event)
}

function only(name: string, values: readonly string[] = []): string | undefined {
  if (values.length > 1) throw invalid(name, 'may be given once')
  return values[0]
}

const invalid = (name: string, problem: string) =>
  new TidingsError('E_REQUEST_INVALID', `parameter ${JSON.stringify(name.slice(0, 64))} ${problem}`)
