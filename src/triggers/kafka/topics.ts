import { assertCustomType } from '../../bus/admit.ts'
import { TidingsError } from '../../errors.ts'
import type { AnyEventType, EventType } from '../../event.ts'
import { aFunction, anything, checkOptions, oneOf, type Check } from '../../options.ts'
import type { CloudEventAttributes } from '../../kafka/cloud-events.ts'

export const untypedRecord = 'kafka.received'
export const asCloudEvents = 'cloudevents'

/**
 * Names of topics, or by topic what its records become: events of one of your types with the value as data, `kafka.received`, or with
 * `cloudevents` what the records say themselves.
 */
export type KafkaTopics = readonly string[] | Readonly<Record<string, RecordType | KafkaTopic>>

/** What the records of a topic become. */
export type RecordType = EventType | typeof untypedRecord | typeof asCloudEvents

/** How keys or values are encoded. `bytes` gives Base64, `registry` needs the option `registry`. */
export type RecordFormat = 'json' | 'text' | 'bytes' | 'registry'

/** How the records of a topic are read. */
export interface KafkaTopic {
  /** What they become. Default `kafka.received`. With `map`, only shown to people. */
  type?: RecordType
  /** Default: `registry` if the trigger has one; else JSON, or text, or bytes, whichever the value is. */
  value?: RecordFormat
  /** Default: text, or Base64 if it is none. */
  key?: RecordFormat
  /** Makes an event of a record, instead of `type`. Undefined skips the record. What it throws sets the record aside. */
  map?(record: KafkaTopicRecord): MappedRecord | undefined | Promise<MappedRecord | undefined>
}

/** A record of a topic, decoded. */
export interface KafkaTopicRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** RFC 3339 in UTC. */
  readonly timestamp: string
  /** Null if there is none. */
  readonly key: unknown
  /** Null if there is none: a tombstone. */
  readonly value: unknown
  /** As texts, the last one of each name. */
  readonly headers: Readonly<Record<string, string>>
  /** If the record is a CloudEvent, in either mode. `value` is then its data. */
  readonly cloudEvent?: CloudEventAttributes
  /** The bytes as they came. */
  readonly raw: { readonly key: Buffer | null; readonly value: Buffer | null }
}

/** The event of a record. */
export interface MappedRecord {
  readonly type: AnyEventType | string
  readonly data: unknown
  /** Identifies the event: another record with the same id is the same event. Default: cluster, topic, partition and offset. */
  readonly id?: string
  /** Default: the key, if it is a text. */
  readonly subject?: string
  /**
   * Records with the same text belong to one correlation, and so keep their order on every log. A UUID is used as it is. Default: each
   * record has its own.
   */
  readonly correlation?: string
}

export interface TopicRoute extends KafkaTopic {
  readonly type: RecordType
}

const formats = oneOf('json', 'text', 'bytes', 'registry')
const checks = { type: anything, value: formats, key: formats, map: aFunction } satisfies Record<
  keyof KafkaTopic,
  Check
>

/** @throws E_APP_INVALID, E_EVENT_INVALID for a type that is reserved */
export function recordRoutes(topics: KafkaTopics, what: string, hasRegistry: boolean): ReadonlyMap<string, TopicRoute> {
  const entries = Object.entries<RecordType | KafkaTopic>(
    isList(topics) ? Object.fromEntries(topics.map(name => [name, untypedRecord])) : topics,
  )
  const invalid = (problem: string) => new TidingsError('E_APP_INVALID', `${what}: ${problem}`)
  if (entries.length === 0) throw invalid('topics is empty; name at least one')
  return new Map(
    entries.map(([name, entry]) => {
      if (!/^[\w.-]{1,249}$/.test(name)) throw invalid(`"${name.slice(0, 80)}" is not the name of a Kafka topic`)
      const route = isRecordType(entry) ? { type: entry } : entry
      checkOptions(`${what}: topic "${name}"`, route, checks, [])
      const { type = untypedRecord } = route
      if (!isRecordType(type))
        throw invalid(`topic "${name}": type must be an event type, "kafka.received" or "cloudevents"`)
      if (typeof type === 'object') assertCustomType(type.type)
      if (!hasRegistry && (route.value === 'registry' || route.key === 'registry'))
        throw invalid(`topic "${name}" needs a schema registry: the option registry`)
      return [name, { ...route, type }]
    }),
  )
}

/** The types that the routes publish, for people. */
export const typesOfRoutes = (routes: ReadonlyMap<string, TopicRoute>) => [
  ...new Set([...routes.values()].map(({ type }) => (typeof type === 'string' ? type : type.type))),
]

// Array.isArray() does not narrow readonly arrays.
const isList = (topics: KafkaTopics): topics is readonly string[] => Array.isArray(topics)

const isRecordType = (entry: unknown): entry is RecordType =>
  entry === untypedRecord ||
  entry === asCloudEvents ||
  (typeof entry === 'object' && entry !== null && (entry as { kind?: unknown }).kind === 'event')
