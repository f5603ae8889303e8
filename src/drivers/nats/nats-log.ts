import { formatCursor } from '../../bus/cursor.ts'
import type { Cursor } from '../../bus/driver.ts'
import type { Names } from './names.ts'
import type { Stream } from './stream.ts'

interface NatsLogOptions {
  readonly names: Names
  readonly identity: string
  readonly replicas: number
  readonly partitions: readonly Stream[]
  readonly state: Stream
  readonly blobs: Stream
}

/** The streams of a log on the server. */
export class NatsLog {
  readonly names: Names
  /** Differs when a server came back without its data. */
  readonly identity: string
  readonly replicas: number
  /** The events and turns: a stream for each partition. */
  readonly partitions: readonly Stream[]
  readonly state: Stream
  readonly blobs: Stream

  constructor({ names, identity, replicas, partitions, state, blobs }: NatsLogOptions) {
    this.names = names
    this.identity = identity
    this.replicas = replicas
    this.partitions = partitions
    this.state = state
    this.blobs = blobs
  }

  /** Covers everything that is stored now. */
  async head(): Promise<Cursor> {
    return formatCursor(await Promise.all(this.partitions.map(stream => stream.head())))
  }

  streamOfShard(shard: number): Stream {
    return this.partitions[this.names.partitionOf(shard)]!
  }

  streamOf(correlation: string): Stream {
    return this.streamOfShard(this.names.shardOf(correlation))
  }
}
