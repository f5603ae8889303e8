import type { MessageRecord } from '@platformatic/kafka'
import type { EncodedEvent } from '../../bus/driver.ts'
import type { LogNames } from './names.ts'

/** A record to be written. `value: null` deletes the key from a compacted topic. */
export interface OutRecord {
  readonly topic: string
  readonly partition: number
  readonly key: string
  readonly value: string | Buffer | null
  readonly headers?: Map<Buffer, Buffer>
}

/** Structured mode of the CloudEvents binding, for consumers that do not know Tidings. */
const structured = new Map([[Buffer.from('content-type'), Buffer.from('application/cloudevents+json; charset=UTF-8')]])

/** The record of an event or a turn, in the partition of its correlation. */
export const eventRecord = (names: LogNames, { event, json }: EncodedEvent): OutRecord => ({
  topic: names.events,
  partition: names.partitionOf(event.correlationid),
  key: event.correlationid,
  value: json,
  headers: structured,
})

/** The record that sets a key of the state, or deletes it. */
export const stateRecord = (names: LogNames, partition: number, key: string, value: string | null): OutRecord => ({
  topic: names.state,
  partition,
  key,
  value,
})

/** As the client encodes it. */
export const messageOf = ({ topic, partition, key, value, headers }: OutRecord): MessageRecord => ({
  topic,
  partition,
  key: Buffer.from(key),
  value: value === null ? (null as unknown as Buffer) : Buffer.from(value),
  ...(headers && { headers }),
})

/** Bytes that a record takes in a batch, at most. */
export const sizeOf = ({ key, value }: MessageRecord): number => (key?.length ?? 0) + (value?.length ?? 0) + 128

export const topicPartition = (topic: string, partition: number): string => `${topic}/${partition}`
