import { coversAll, formatCursor, unionOf } from '../../bus/cursor.ts'
import type { Cursor } from '../../bus/driver.ts'
import type { Names } from './names.ts'
import type { Stream } from './stream.ts'

interface NatsLogOptions {
  readonly names: Names
  readonly identities: LogIdentities
  readonly replicas: number
  readonly partitions: readonly Stream[]
  readonly state: Stream
  readonly blobs: Stream
  readonly recreated?: readonly number[]
}

/** Each differs when the server lost that stream and it was created again. */
export interface LogIdentities {
  readonly partitions: readonly string[]
  readonly state: string
}

/** The streams of a log on the server. */
export class NatsLog {
  readonly names: Names
  readonly identities: LogIdentities
  readonly replicas: number
  /** The events and turns: a stream for each partition. */
  readonly partitions: readonly Stream[]
  readonly state: Stream
  readonly blobs: Stream
  /** The partitions that the server had lost when the log was opened. */
  readonly recreated: readonly number[]

  constructor({ names, identities, replicas, partitions, state, blobs, recreated = [] }: NatsLogOptions) {
    this.names = names
    this.identities = identities
    this.replicas = replicas
    this.partitions = partitions
    this.state = state
    this.blobs = blobs
    this.recreated = recreated
  }

  /** Covers everything that is stored now. */
  async head(): Promise<Cursor> {
    return formatCursor(await Promise.all(this.partitions.map(stream => stream.head())))
  }

  /** Covers what was purged, or lost with an earlier stream of a partition. */
  async horizon(): Promise<Cursor> {
    const stored = await this.state.last(this.names.doc('horizon'))
    if (stored) return unionOf(stored.text(), formatCursor(this.partitions.map(({ beginsAt }) => beginsAt - 1)))
    // Not purged yet, or by an older version.
    const infos = await Promise.all(this.partitions.map(stream => stream.info()))
    return formatCursor(infos.map(({ state }) => Math.max(0, state.first_seq - 1)))
  }

  async moveHorizon(cursor: Cursor): Promise<void> {
    const known = await this.horizon()
    if (!coversAll(known, cursor)) await this.state.append(this.names.doc('horizon'), unionOf(known, cursor))
  }

  streamOfShard(shard: number): Stream {
    return this.partitions[this.names.partitionOf(shard)]!
  }

  streamOf(correlation: string): Stream {
    return this.streamOfShard(this.names.shardOf(correlation))
  }
}
