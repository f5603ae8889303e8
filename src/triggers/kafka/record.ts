import type { FetchedRecord } from '../../kafka/committed.ts'
import { digestOf } from '../digest.ts'

/** A record as it came from a partition, or as it was set aside. */
export interface TopicRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** RFC 3339 in UTC. */
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly { readonly name: string; readonly value: Buffer | null }[]
}

export const toTopicRecord = (
  topic: string,
  partition: number,
  { offset, timestamp, key, value, headers }: FetchedRecord,
): TopicRecord => ({
  topic,
  partition,
  offset: Number(offset),
  timestamp: timestampText(timestamp),
  key,
  value,
  headers: headers.map(([name, value]) => ({ name: name?.toString() ?? '', value })),
})

/** Producers may write any number. */
function timestampText(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString()
}

/** As texts, the last one of each name. */
export const headerTexts = ({ headers }: TopicRecord): Record<string, string> =>
  Object.fromEntries(headers.map(({ name, value }) => [name, value?.toString() ?? '']))

/**
 * The id of the event of a record: `kafka:9f2c…:3:1042`. `origin` tells topics of the same name apart: of another cluster, or made again.
 */
export const recordId = (trigger: string, origin: string, { partition, offset }: TopicRecord) =>
  `${trigger}:${origin}:${partition}:${offset}`

export const topicOrigin = (cluster: string, topic: string, topicId: string) =>
  digestOf(cluster, topic, topicId).slice(0, 16)
