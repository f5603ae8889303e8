import { apiVersionsV3, describeConfigsV4, metadataV12 } from '@platformatic/kafka'
import type { Durability } from '../../bus/driver.ts'
import { TidingsError } from '../../errors.ts'
import type { KafkaCluster } from './cluster.ts'
import type { LogNames } from './names.ts'
import { topicConfigs } from './topics.ts'

const brokerResource = 4
const backoff = 'add.partitions.to.txn.retry.backoff.ms'
const decidedInSync = 'transaction.state.log.min.isr'

/** What the settings promise: copies, how many of them must have a record or the end of a transaction, and whether it is synced. */
export async function readKafkaDurability(cluster: KafkaCluster, { events }: LogNames): Promise<Durability> {
  const answer = await cluster.ask(metadataV12.api, 'any', [[events], false, false], { isRepeatable: true })
  const copies = Math.min(...answer.topics[0]!.partitions.map(({ replicaNodes }) => replicaNodes.length))
  const configs = await topicConfigs(cluster, events, ['min.insync.replicas', 'flush.messages'])
  const inSync = Number(configs.get('min.insync.replicas') ?? 1)
  const isSynced = configs.get('flush.messages') === '1'
  const broker = await brokerConfigs(cluster, answer.brokers[0]!.nodeId)
  const decided = Number(broker?.get(decidedInSync) ?? inSync)
  const settings = [
    `Kafka, ${copies} ${copies === 1 ? 'copy' : 'copies'}`,
    `min.insync.replicas ${inSync}`,
    ...(broker && copies > 1 ? [`${decidedInSync} ${decided}`] : []),
    ...(isSynced ? ['flush.messages 1'] : []),
  ].join(', ')
  const notices = await noticesOf(cluster, copies, broker)
  if (isSynced) return { survives: 'power', detail: settings, notices }
  if (copies > 1 && inSync > 1 && decided > 1)
    return { survives: 'power', detail: `${settings}: if the brokers do not lose power together`, notices }
  const next =
    copies === 1
      ? 'use three brokers with replicas=3'
      : `set ${inSync > 1 ? decidedInSync : 'min.insync.replicas'} to 2`
  const detail = `${settings}: a broker keeps records in memory before they are on disk; ${next}`
  return { survives: 'process', detail, notices }
}

async function noticesOf(
  cluster: KafkaCluster,
  copies: number,
  broker: ReadonlyMap<string, string | null | undefined> | undefined,
): Promise<string[]> {
  const notices: string[] = []
  if (!broker)
    notices.push('The settings of the brokers cannot be read: this user lacks DescribeConfigs on the cluster')
  const waitMs = Number(broker?.get(backoff) ?? 1)
  if (waitMs > 5)
    notices.push(
      `The brokers wait ${waitMs} ms between the transactions of a worker. Set ${backoff}=1 on them: a turn then takes a few ms`,
    )
  if (await leavesMarkersOut(cluster))
    notices.push(
      `These brokers (Kafka 4.3 or newer) may leave a commit unfinished when ${copies === 1 ? 'they crash' : 'all brokers that have it crash together'} (KAFKA-20734). Tidings finishes it when they are back; nobody reads its partition until then`,
    )
  return notices
}

/** Level of `metadata.version` of the first release with the fault: decision 0043. */
const firstFaulty = 30

async function leavesMarkersOut(cluster: KafkaCluster): Promise<boolean> {
  const { supportedFeatures } = await cluster.ask(apiVersionsV3.api, 'any', ['tidings', '1'], { isRepeatable: true })
  const level = supportedFeatures?.find(({ name }) => name === 'metadata.version')?.maxVersion ?? 0
  return level >= firstFaulty
}

/** Undefined without the right to read them. */
async function brokerConfigs(
  cluster: KafkaCluster,
  node: number,
): Promise<ReadonlyMap<string, string | null | undefined> | undefined> {
  const resource = {
    resourceType: brokerResource,
    resourceName: String(node),
    configurationKeys: [backoff, decidedInSync],
  }
  try {
    const options = { isRepeatable: true }
    const answer = await cluster.ask(describeConfigsV4.api, { node }, [[resource as never], false, false], options)
    return new Map(answer.results.flatMap(({ configs }) => configs.map(({ name, value }) => [name, value] as const)))
  } catch (error) {
    if (error instanceof TidingsError && error.code === 'E_BUS_DENIED') return undefined
    throw error
  }
}
