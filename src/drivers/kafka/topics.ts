import { setTimeout as sleep } from 'node:timers/promises'
import { createTopicsV7, describeConfigsV4 } from '@platformatic/kafka'
import { maxPartitions } from '../../bus/cursor.ts'
import { TidingsError } from '../../errors.ts'
import type { KafkaCluster } from './cluster.ts'
import { LogNames } from './names.ts'
import { KafkaRefusal } from './refusal.ts'

interface NewTopic {
  readonly name: string
  readonly partitions: number
  readonly settings: Readonly<Record<string, string>>
}

/** The topics of a log as the cluster has them. */
export interface LogTopics {
  readonly names: LogNames
  /** Differ when a topic was deleted and made again. By topic. */
  readonly ids: ReadonlyMap<string, string>
  /** The largest batch that the broker takes. */
  readonly maxBatchBytes: number
  /** What was missing. */
  readonly created: readonly string[]
}

const defaultPartitions = 8
const maxBatchBytes = 8 << 20
const signalRetentionMs = 60_000
const topicResource = 2

/** Events are removed by `purge` alone, and the time of a record is that of the broker. */
const eventConfigs = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'message.timestamp.type': 'LogAppendTime',
  'max.message.bytes': String(maxBatchBytes),
  'unclean.leader.election.enable': 'false',
}

const stateConfigs = {
  'cleanup.policy': 'compact',
  'message.timestamp.type': 'LogAppendTime',
  'max.message.bytes': String(maxBatchBytes),
  'unclean.leader.election.enable': 'false',
}

const signalConfigs = {
  'cleanup.policy': 'delete',
  'retention.ms': String(signalRetentionMs),
  'segment.ms': String(signalRetentionMs),
}

/**
 * Finds the topics of the log, and makes those that are missing. The state comes first: its partitions are those of the log, so that two
 * processes with different settings cannot make two layouts. @throws E_SETTING_INVALID, E_LOG_UNAVAILABLE
 */
export async function provisionTopics(cluster: KafkaCluster, until: number): Promise<LogTopics> {
  const { log, partitions: wanted } = cluster.address
  assertPartitions(wanted)
  const draft = new LogNames(log, wanted ?? defaultPartitions)
  cluster.topics.splice(0, Infinity, draft.state, draft.events, draft.signals, draft.blobs)
  cluster.refresh()
  const created: string[] = []
  const ensure = async (topics: readonly NewTopic[]) => {
    const known = await Promise.all(topics.map(({ name }) => cluster.topicId(name)))
    const missing = topics.filter((_, i) => known[i] === undefined)
    if (missing.length === 0) return
    await createTopics(cluster, missing)
    for (const { name } of missing) created.push(name)
    await led(cluster, missing, until)
  }
  await ensure([{ name: draft.state, partitions: draft.partitions, settings: stateConfigs }])
  const partitions = await cluster.partitionsOf(draft.state)
  if (wanted !== undefined && wanted !== partitions)
    throw new TidingsError(
      'E_SETTING_INVALID',
      `TIDINGS_BUS: partitions=${wanted}, but the log "${log}" has ${partitions}: leave the option out, or use another log`,
    )
  const names = new LogNames(log, partitions)
  await ensure([
    { name: names.events, partitions, settings: eventConfigs },
    { name: names.blobs, partitions, settings: eventConfigs },
    { name: names.signals, partitions: 1, settings: signalConfigs },
  ])
  const found = await cluster.partitionsOf(names.events)
  if (found !== partitions)
    throw new TidingsError(
      'E_SETTING_INVALID',
      `${names.events} has ${found} partitions and ${names.state} has ${partitions}: they must have as many. Partitions of a log cannot be added`,
    )
  const ids = new Map<string, string>()
  for (const topic of [names.events, names.state]) ids.set(topic, (await cluster.topicId(topic))!)
  return { names, ids, maxBatchBytes: await maxBytesOf(cluster, names.events), created }
}

function assertPartitions(partitions: number | undefined): void {
  if (partitions !== undefined && partitions > maxPartitions)
    throw new TidingsError('E_SETTING_INVALID', `TIDINGS_BUS: partitions=${partitions} is more than ${maxPartitions}`)
}

async function createTopics(cluster: KafkaCluster, missing: readonly NewTopic[]): Promise<void> {
  const { replicas = -1 } = cluster.address
  const topics = missing.map(({ name, partitions, settings }) => ({
    name,
    numPartitions: partitions,
    replicationFactor: replicas,
    assignments: [],
    configs: Object.entries({ ...settings, ...(replicas >= 3 && { 'min.insync.replicas': '2' }) }).map(
      ([key, value]) => ({ name: key, value }),
    ),
  }))
  try {
    await cluster.ask(createTopicsV7.api, 'any', [topics, cluster.timeoutMs, false], { isRepeatable: true })
  } catch (error) {
    // Another process was faster.
    if (!(error instanceof KafkaRefusal && error.code === 'TOPIC_ALREADY_EXISTS')) throw error
  }
}

/** The answer may come before a broker leads the partitions. */
async function led(cluster: KafkaCluster, topics: readonly NewTopic[], until: number): Promise<void> {
  for (;;) {
    cluster.refresh()
    const leaders = await cluster.leadersByPartition()
    // Another process may have made it with another number of partitions.
    const isLed = ({ name }: NewTopic) => {
      const own = [...leaders].filter(([key]) => key.startsWith(`${name}/`))
      return own.length > 0 && own.every(([, leader]) => leader >= 0)
    }
    if (topics.every(isLed)) return
    if (performance.now() > until)
      throw cluster.unavailable(new Error(`no broker leads the new topic ${topics[0]!.name}`))
    await sleep(20)
  }
}

async function maxBytesOf(cluster: KafkaCluster, topic: string): Promise<number> {
  const configs = await topicConfigs(cluster, topic, ['max.message.bytes'])
  return Number(configs.get('max.message.bytes') ?? 1_048_588)
}

/** The settings of a topic, with what it takes from its broker. */
export async function topicConfigs(
  cluster: KafkaCluster,
  topic: string,
  configurationKeys: readonly string[],
): Promise<ReadonlyMap<string, string | null | undefined>> {
  const resource = { resourceType: topicResource, resourceName: topic, configurationKeys: [...configurationKeys] }
  const { results } = await cluster.ask(describeConfigsV4.api, 'any', [[resource as never], false, false], {
    isRepeatable: true,
  })
  return new Map(results.flatMap(({ configs }) => configs.map(({ name, value }) => [name, value] as const)))
}
