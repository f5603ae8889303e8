import { compactCursor, coversAll, restrictCursor } from '../../bus/cursor.ts'
import type { Cursor } from '../../bus/driver.ts'
import { partitionOf, shardOf } from '../../bus/ids.ts'
import type { CloudEvent } from '../../event.ts'
import { matchesType } from '../../pattern.ts'
import { LinkedScope } from '../../tasks/links.ts'
import { textDeltaType, type TextScope } from '../../tasks/text-delta.ts'
import type { Principal } from '../identity/principal.ts'
import type { StreamRequest } from './stream-request.ts'

interface LogLayout {
  readonly shards: number
  readonly partitions: number
}

/** What one stream shows: a request, within the rights of a principal. */
export class StreamScope {
  readonly request: StreamRequest
  readonly #principal: Principal
  readonly #layout: LogLayout
  /** For a stream of one correlation: that correlation and the workflow instances that it feeds. */
  readonly #linked: LinkedScope | undefined
  /** Those that the stream shows events of; undefined for all. */
  readonly #partitions: Set<number> | undefined

  constructor(request: StreamRequest, principal: Principal, layout: LogLayout) {
    this.request = request
    this.#principal = principal
    this.#layout = layout
    if (request.correlation === undefined) return
    this.#linked = new LinkedScope(request.correlation)
    this.#partitions = new Set([this.#partitionOf(request.correlation)])
  }

  /** The credential is not valid any more. */
  get hasEnded(): boolean {
    return this.#principal.hasEnded?.() ?? false
  }

  includes(event: CloudEvent): boolean {
    return this.shows(event) && this.mayRead(event.type)
  }

  /** An event is shown only to its own tenant, whatever its correlation. */
  shows(event: CloudEvent): boolean {
    return event.tenant === this.#principal.tenant && (this.#linked?.has(event) ?? true) && this.request.matches(event)
  }

  mayRead(type: string): boolean {
    return this.#principal.may('read', type)
  }

  /** Streams with the same text show the same events, as far as their principals may read them. */
  get audience(): string {
    const { user, task, filter, asRows } = this.request
    return JSON.stringify([this.#principal.tenant, user, task, filter, asRows, this.#linked?.correlation])
  }

  /** Whether the event begins the part of an instance that the correlation feeds. `feeder`: the result of `feederOf` for the event. */
  link(event: CloudEvent, feeder: string | undefined): boolean {
    if (this.request.task !== undefined || event.tenant !== this.#principal.tenant) return false
    if (!this.#linked?.see(event, feeder)) return false
    this.#partitions!.add(this.#partitionOf(event.correlationid))
    return true
  }

  /** Where {@link ClientIndex} finds the stream: an event that it shows has one of these among its `indexKeysOf`. */
  get keys(): string[] {
    if (this.#linked) return this.#linked.correlations.map(correlationKey)
    const { user } = this.request
    const { tenant } = this.#principal
    return [user === undefined ? tenantKey(tenant) : userKey(tenant, user)]
  }

  /** The text of a cursor for the client. A stream of one correlation carries only the partitions of what it shows. */
  textOf(cursor: Cursor): string {
    return compactCursor(this.#ownPartOf(cursor))
  }

  /** Whose model calls the stream shows while they are written; none if it does not show their signals. */
  get texts(): TextScope[] {
    const { filter, user } = this.request
    const { tenant } = this.#principal
    const isShown = filter?.some(({ types }) => types.some(type => matchesType(type, textDeltaType))) ?? true
    if (!isShown || !this.#principal.may('read', textDeltaType)) return []
    if (this.#linked) return this.#linked.correlations.map(correlation => ({ correlation }))
    return [{ tenant, ...(user !== undefined && { user }) }]
  }

  /** Whether events after a cursor may be missing, because a purge removed them. */
  lacks(cursor: Cursor, horizon: Cursor): boolean {
    return !coversAll(cursor, this.#ownPartOf(horizon))
  }

  #ownPartOf(cursor: Cursor): Cursor {
    return this.#partitions && this.#layout.partitions > 1 ? restrictCursor(cursor, this.#partitions) : cursor
  }

  #partitionOf(correlation: string): number {
    const { shards, partitions } = this.#layout
    return partitionOf(shardOf(correlation, shards), partitions)
  }
}

export const correlationKey = (correlation: string) => `correlation ${correlation}`
const userKey = (tenant: string, user: string) => `user ${tenant} ${user}`
const tenantKey = (tenant: string) => `tenant ${tenant}`

/** Every stream that shows the event has one of these keys. */
export const indexKeysOf = ({ correlationid, tenant, user }: CloudEvent) => [
  correlationKey(correlationid),
  tenantKey(tenant),
  ...(user === undefined ? [] : [userKey(tenant, user)]),
]
