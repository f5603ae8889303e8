import { isCursor, readCursor } from '../../bus/cursor.ts'
import type { Cursor } from '../../bus/driver.ts'
import { isCorrelation } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { compileFilter, type Filter, isTypePattern } from '../../pattern.ts'
import { namesTurns, turnType } from '../../tasks/turn.ts'

const maxTypes = 64
const parameters = new Set(['correlation', 'type', 'after', 'as'])

/** The parsed query of an event stream. */
export interface StreamRequest {
  readonly correlation?: string
  /** Undefined for all types. */
  readonly filter?: Filter
  /** Start after this cursor; undefined if the client names none. */
  readonly after?: Cursor
  /** Omits the `event:` line, so that a browser calls `onmessage`. */
  readonly isUnnamed: boolean
  /** By type only. */
  matches(event: CloudEvent): boolean
}

/**
 * Reads `?correlation=…&type=…&type=…&after=…&as=message`. `Last-Event-ID` has precedence over `after`, because a
 * browser reconnects with an unchanged URL. @throws E_REQUEST_INVALID
 */
export function readStreamRequest(query: Record<string, string[]>, lastEventId: string | undefined): StreamRequest {
  for (const name of Object.keys(query))
    if (!parameters.has(name)) throw invalid(name, `is unknown: expected ${[...parameters].join(', ')}`)
  const { type: types = [] } = query
  if (types.length > maxTypes) throw invalid('type', `may be given at most ${maxTypes} times`)
  for (const type of types)
    if (!isTypePattern(type)) throw invalid('type', 'must be a type or a pattern, such as order.*')
  const correlation = single('correlation', query.correlation)
  if (correlation !== undefined && !isCorrelation(correlation))
    throw invalid('correlation', 'must be a UUID in lower case')
  const after = lastEventId === undefined ? single('after', query.after) : lastEventId
  if (after !== undefined && !isCursor(after))
    throw invalid('after', 'and Last-Event-ID must be a cursor: the id of an event of this stream')
  const as = single('as', query.as)
  if (as !== undefined && as !== 'message') throw invalid('as', 'must be "message" or absent')
  const filter = types.length > 0 ? [{ types }] : undefined
  return {
    ...(correlation !== undefined && { correlation }),
    ...(filter && { filter }),
    ...(after !== undefined && { after: readCursor(after) }),
    isUnnamed: as === 'message',
    matches: matcher(types, filter),
  }
}

function matcher(types: readonly string[], filter: Filter | undefined) {
  const ofType = filter ? compileFilter(filter) : () => true
  const turns = namesTurns(types)
  return (event: CloudEvent) => (turns || event.type !== turnType) && ofType(event)
}

function single(name: string, values: readonly string[] = []): string | undefined {
  if (values.length > 1) throw invalid(name, 'may be given once')
  return values[0]
}

const invalid = (name: string, problem: string) =>
  new TidingsError('E_REQUEST_INVALID', `parameter ${JSON.stringify(name.slice(0, 64))} ${problem}`)
