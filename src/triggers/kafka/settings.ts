import { aCount, anObject, aText, checkOptions, oneOf, type Check } from '../../options.ts'
import {
  connectionChecks,
  kafkaConnection,
  type KafkaConnectionOptions,
  type KafkaConnectionSettings,
} from '../../kafka/connection.ts'
import { SchemaRegistry, type SchemaRegistryOptions } from '../../kafka/registry/registry.ts'
import { TidingsError } from '../../errors.ts'
import { assertTriggerName } from '../trigger.ts'
import { recordRoutes, type KafkaTopics, type TopicRoute } from './topics.ts'

/** Which topics the trigger reads, and what their records become. */
export interface KafkaTriggerOptions extends KafkaConnectionOptions {
  /** The consumer group, which keeps the place in each partition. Processes with the same group share the partitions. */
  group: string
  topics: KafkaTopics
  /** Decodes what was written with a schema of a registry: Avro, Protobuf, JSON Schema. */
  registry?: SchemaRegistryOptions
  /** Where a group that has no place yet begins. Default `now`. */
  from?: 'now' | 'beginning'
  /** Must be unique in the app. Default `kafka`. */
  name?: string
  /** Largest value of a record, in bytes. Default 4 MiB. */
  maxBytes?: number
}

export interface KafkaTriggerSettings extends KafkaConnectionSettings {
  readonly name: string
  readonly group: string
  readonly routes: ReadonlyMap<string, TopicRoute>
  readonly registry: SchemaRegistry | undefined
  readonly from: 'now' | 'beginning'
  readonly maxBytes: number
}

const checks = {
  ...connectionChecks,
  group: aText,
  topics: anObject,
  registry: anObject,
  from: oneOf('now', 'beginning'),
  name: aText,
  maxBytes: aCount,
} satisfies Record<keyof KafkaTriggerOptions, Check>

/** @throws E_APP_INVALID, E_EVENT_INVALID, E_SETTING_INVALID */
export function kafkaSettings(options: KafkaTriggerOptions): KafkaTriggerSettings {
  checkOptions('kafka()', options, checks, ['group', 'topics'])
  const { group, topics, registry, from = 'now', name = 'kafka', maxBytes = 4 * 1024 * 1024 } = options
  assertTriggerName(name)
  const what = `trigger "${name}"`
  if (group === '') throw new TidingsError('E_APP_INVALID', `${what} needs the name of its consumer group`)
  return {
    ...kafkaConnection(options),
    name,
    group,
    routes: recordRoutes(topics, what, registry !== undefined),
    registry: registry && new SchemaRegistry(registry, what),
    from,
    maxBytes,
  }
}
