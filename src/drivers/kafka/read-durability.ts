import { metadataV12 } from '@platformatic/kafka'
import type { Durability } from '../../bus/driver.ts'
import type { KafkaCluster } from './cluster.ts'
import type { LogNames } from './names.ts'
import { topicConfigs } from './topics.ts'

/** What the settings of the events promise: copies, how many of them must have a record, and whether it is synced. */
export async function readKafkaDurability(cluster: KafkaCluster, { events }: LogNames): Promise<Durability> {
  const answer = await cluster.ask(metadataV12.api, 'any', [[events], false, false], { isRepeatable: true })
  const copies = Math.min(...answer.topics[0]!.partitions.map(({ replicaNodes }) => replicaNodes.length))
  const configs = await topicConfigs(cluster, events, ['min.insync.replicas', 'flush.messages'])
  const inSync = Number(configs.get('min.insync.replicas') ?? 1)
  const isSynced = configs.get('flush.messages') === '1'
  const settings = `Kafka, ${copies} ${copies === 1 ? 'copy' : 'copies'}, min.insync.replicas ${inSync}${isSynced ? ', flush.messages 1' : ''}`
  if (isSynced) return { survives: 'power', detail: settings }
  if (copies > 1 && inSync > 1)
    return { survives: 'power', detail: `${settings}: if the brokers do not lose power together` }
  const next = copies > 1 ? 'set min.insync.replicas to 2' : 'use three brokers with replicas=3'
  return {
    survives: 'process',
    detail: `${settings}: a broker keeps records in memory before they are on disk; ${next}`,
  }
}
