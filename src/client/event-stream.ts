import type { ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { backoffMs, type GatewayConnection } from './connection.ts'
import { ClientError } from './errors.ts'
import { serverEvents } from './server-events.ts'

/** Which events a stream shows, and from where on. All that is given must match. */
export interface StreamFilter {
  /** Types or patterns, such as `order.*`; one of them must match. Default: all types. */
  readonly type?: string | readonly string[]
  readonly correlation?: string
  readonly task?: string
  /** The `user` of events. */
  readonly user?: string
  /**
   * The `cursor` of the last event that was handled, or `0` for everything that is kept. Default: the beginning of the correlation or task,
   * else what happens from now on.
   */
  readonly after?: string
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal
}

/** An event as a stream yields it. */
export interface StreamedEvent {
  readonly event: CloudEvent
  /** Where to continue: `after` of the next stream. Undefined for signals, which are not stored and may be lost. */
  readonly cursor?: string
}

/** Continues after interruptions, without gap or duplicate among stored events. @throws ClientError */
export async function* streamEvents(
  connection: GatewayConnection,
  { signal, after, type = [], ...ids }: StreamFilter,
): AsyncGenerator<StreamedEvent> {
  const query = new URLSearchParams(ids as Record<string, string>)
  for (const pattern of [type].flat()) query.append('type', pattern)
  let cursor = after
  for await (const response of connections(connection, `events/stream?${query.toString()}`, () => cursor, signal))
    for await (const { event, id, data } of serverEvents(response)) {
      if (signal?.aborted) return
      if (data !== undefined && id === undefined && event !== 'signal') assertResumable(event, data)
      else if (data !== undefined)
        yield { event: JSON.parse(data) as CloudEvent, ...(id !== undefined && { cursor: id }) }
      cursor = id ?? cursor
    }
}

/**
 * Each connection to a stream, one after the other, until the consumer has enough or the signal aborts. Failed attempts and connections that
 * end at once are followed by growing pauses.
 */
export async function* connections(
  connection: GatewayConnection,
  path: string,
  lastId: () => string | undefined,
  signal?: AbortSignal,
): AsyncGenerator<Response> {
  for (let attempt = 0; !signal?.aborted; attempt++) {
    let opened = Infinity
    const done = new AbortController()
    try {
      const id = lastId()
      const response = await connection.send(path, {
        headers: { accept: 'text/event-stream', ...(id !== undefined && { 'last-event-id': id }) },
        signal: AbortSignal.any([done.signal, ...(signal ? [signal] : [])]),
        retryForMs: Infinity,
      })
      opened = Date.now()
      yield response
    } catch (error) {
      if (signal?.aborted) return
      throw error
    } finally {
      done.abort()
    }
    if (Date.now() - opened > steadyMs) attempt = 0
    await connection.pause(backoffMs(attempt), signal).catch(() => {})
  }
}

/** A connection that lasted as long is no sign of a gateway that refuses. */
const steadyMs = 5_000

/**
 * A gateway that stops says so, and another one continues. So does a new connection after a credential has expired, if there is a new one.
 * @throws ClientError for an end that another connection would not change
 */
export function assertResumable(event: string | undefined, data: string): void {
  if (event !== 'error') return
  const error = new ClientError((JSON.parse(data) as { error: ErrorData }).error)
  if (!error.retryable && error.code !== 'E_CREDENTIAL_UNKNOWN') throw error
}
