import { TidingsError } from '../../errors.ts'
import type { AnyEventType, CloudEvent } from '../../event.ts'
import { aFunction, aList, anObject, anything, aText, checkOptions, oneOf, type Check } from '../../options.ts'
import { compileFilter, isTypePattern } from '../../pattern.ts'
import {
  connectionChecks,
  kafkaConnection,
  type KafkaConnectionOptions,
  type KafkaConnectionSettings,
} from '../../kafka/connection.ts'
import { SchemaRegistry, type SchemaDraft, type SchemaRegistryOptions } from '../../kafka/registry/registry.ts'

/** Where to write events, by topic. */
export interface KafkaSinkOptions extends KafkaConnectionOptions {
  /** By topic: the types of its events, or how to write them. */
  topics: Readonly<Record<string, AnyEventType | readonly AnyEventType[] | KafkaSinkTopic>>
  /** Needed for topics with `schema`. */
  registry?: SchemaRegistryOptions
  /** Where the sink begins when it is started for the first time. Default `now`. */
  from?: 'now' | 'beginning'
  /** Must be unique in the app. Default `kafka`. */
  name?: string
}

/** How events are written to a topic. */
export interface KafkaSinkTopic {
  /** Event types, or patterns such as `order.>`. */
  types: readonly (AnyEventType | string)[]
  /**
   * `binary`: CloudEvents with attributes in headers and the data as value. `structured`: CloudEvents as one JSON. `data`: only the data.
   * Default `binary`.
   */
  form?: 'binary' | 'structured' | 'data'
  /** The key of the record; records with the same key go to the same partition. Null for none. Default: the correlation. */
  key?(event: CloudEvent): string | null
  /** Further headers. */
  headers?(event: CloudEvent): Readonly<Record<string, string>>
  /** The value of the record, instead of the data. Null writes a tombstone; undefined skips the event. */
  value?(event: CloudEvent): unknown
  /** Encodes the value with a schema of the registry. Default: JSON. */
  schema?: KafkaSinkSchema
}

/** With which schema values are written. */
export interface KafkaSinkSchema {
  /** The name of the subject: `TOPIC-value`, `RECORD` or `TOPIC-RECORD`. Default `topic`. */
  subject?: 'topic' | 'record' | 'topic-record'
  /** The full name of the record, for subjects that contain it; in Protobuf, the message type. Default: the first one. */
  record?: string
  /** Default: the newest. */
  version?: number
  /** Registers this schema, instead of using one that is there. */
  register?: SchemaDraft
}

export interface SinkRoute extends KafkaSinkTopic {
  readonly topic: string
  readonly patterns: readonly string[]
  readonly matches: ReturnType<typeof compileFilter>
}

export interface KafkaSinkSettings extends KafkaConnectionSettings {
  readonly name: string
  readonly from: 'now' | 'beginning'
  readonly routes: readonly SinkRoute[]
  readonly registry: SchemaRegistry | undefined
}

const checks = {
  ...connectionChecks,
  topics: anObject,
  registry: anObject,
  from: oneOf('now', 'beginning'),
  name: aText,
} satisfies Record<keyof KafkaSinkOptions, Check>

const topicChecks = {
  types: aList,
  form: oneOf('binary', 'structured', 'data'),
  key: aFunction,
  headers: aFunction,
  value: aFunction,
  schema: anObject,
} satisfies Record<keyof KafkaSinkTopic, Check>

const schemaChecks = {
  subject: oneOf('topic', 'record', 'topic-record'),
  record: aText,
  version: anything,
  register: anObject,
} satisfies Record<keyof KafkaSinkSchema, Check>

/** @throws E_APP_INVALID, E_SETTING_INVALID */
export function kafkaSinkSettings(options: KafkaSinkOptions): KafkaSinkSettings {
  checkOptions('kafkaSink()', options, checks, ['topics'])
  const { topics, registry, from = 'now', name = 'kafka' } = options
  const what = `sink "${name}"`
  const invalid = (problem: string) => new TidingsError('E_APP_INVALID', `${what}: ${problem}`)
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name)) throw invalid('use lower-case words with dashes as its name')
  const routes = Object.entries(topics).map(([topic, entry]) => {
    const route = isTypes(entry) ? { types: [entry].flat() } : entry
    checkOptions(`${what}: topic "${topic}"`, route, topicChecks, ['types'])
    return routeOf(topic, route, registry !== undefined, invalid)
  })
  if (routes.length === 0) throw invalid('topics is empty; name at least one')
  return {
    ...kafkaConnection(options),
    name,
    from,
    routes,
    registry: registry && new SchemaRegistry(registry, what),
  }
}

function routeOf(
  topic: string,
  route: KafkaSinkTopic,
  hasRegistry: boolean,
  invalid: (problem: string) => TidingsError,
): SinkRoute {
  if (!/^[\w.-]{1,249}$/.test(topic)) throw invalid(`"${topic.slice(0, 80)}" is not the name of a Kafka topic`)
  const patterns = route.types.map(type => (typeof type === 'string' ? type : type.type))
  const wrong = patterns.find(pattern => !isTypePattern(pattern))
  if (wrong !== undefined || patterns.length === 0)
    throw invalid(`topic "${topic}": types must name event types or patterns of them, not "${wrong ?? ''}"`)
  const { schema, form } = route
  if (schema) {
    checkOptions(`topic "${topic}": schema`, schema, schemaChecks, [])
    if (!hasRegistry) throw invalid(`topic "${topic}" needs a schema registry: the option registry`)
    if (form === 'structured') throw invalid(`topic "${topic}": the form "structured" is JSON and has no schema`)
    if (schema.subject?.includes('record') && schema.record === undefined)
      throw invalid(`topic "${topic}": the subject "${schema.subject}" needs the name of the record`)
  }
  return { ...route, topic, patterns, matches: compileFilter([{ types: patterns }]) }
}

const isTypes = (entry: KafkaSinkOptions['topics'][string]): entry is AnyEventType | readonly AnyEventType[] =>
  Array.isArray(entry) || (entry as { kind?: unknown }).kind === 'event'
