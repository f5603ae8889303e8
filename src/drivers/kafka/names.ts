import { partitionOf, shardOf } from '../../bus/ids.ts'

/** The names of a log on a cluster. Each begins with the name of the log, so that an ACL can be written for it. */
export class LogNames {
  readonly log: string
  /** A shard is a partition: shard `p` is stored in partition `p`. */
  readonly partitions: number
  readonly events: string
  readonly state: string
  readonly signals: string
  readonly blobs: string

  constructor(log: string, partitions: number) {
    this.log = log
    this.partitions = partitions
    this.events = `${log}.events`
    this.state = `${log}.state`
    this.signals = `${log}.signals`
    this.blobs = `${log}.blobs`
  }

  partitionOf(correlation: string): number {
    return partitionOf(shardOf(correlation, this.partitions), this.partitions)
  }

  /** Of the owner of a partition in a sharded group. */
  transactionalId(group: string, partition: number): string {
    return `${this.log}.${group}.${partition}`
  }

  /** Of the process that changes documents of a partition: processes take it over from each other. */
  documentsId(partition: number): string {
    return `${this.log}.documents.${partition}`
  }

  /** The consumer group of the cluster that stands for a group of the log. */
  kafkaGroup(group: string): string {
    return `${this.log}.${group}`
  }
}
