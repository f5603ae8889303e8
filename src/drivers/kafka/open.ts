import type { Now } from '../../bus/clock.ts'
import { parseKafkaAddress } from './address.ts'
import { KafkaCluster } from './cluster.ts'
import { KafkaDriver } from './driver.ts'
import { LogFollower } from './follower.ts'
import { openIndexFile } from './index-file.ts'
import { KafkaPublisher } from './publisher.ts'
import { provisionTopics } from './topics.ts'

/** Which cluster and log, and what a new log is like. */
export interface KafkaDriverOptions {
  /** `kafka://USER:PASSWORD@HOST:PORT,HOST:PORT/LOG?…`: docs/kafka.md lists its options. */
  url: string
  /** Number of partitions of a new log; an existing log must have as many. Default 8. */
  partitions?: number
  /** Data folder of this process, which keeps its copy of the log. Default: a temporary one. */
  home?: string
  /**
   * Called for each connection, for a token of OAUTHBEARER that no file or token endpoint gives, such as one for IAM of Amazon MSK
   * (docs/kafka-security.md).
   */
  token?: () => string | Promise<string>
  /** How long to try to open it, in ms. Default: the time limit of calls (`timeout` of the address, 10 s). */
  openTimeoutMs?: number
  /** For tests only: a wall clock that can be set. */
  clock?: { readonly now: Now }
}

/** @throws E_SETTING_INVALID, E_LOG_UNAVAILABLE, E_INDEX_UNAVAILABLE */
export async function openKafkaDriver(options: KafkaDriverOptions): Promise<KafkaDriver> {
  const parsed = parseKafkaAddress(options.url, options.token)
  const partitions = parsed.partitions ?? options.partitions
  const cluster = new KafkaCluster({ ...parsed, ...(partitions !== undefined && { partitions }) })
  try {
    const topics = await provisionTopics(cluster, performance.now() + (options.openTimeoutMs ?? cluster.timeoutMs))
    const file = openIndexFile(options.home, topics)
    const { index } = file
    const { names, maxBatchBytes } = topics
    const follower = new LogFollower(cluster, names, index)
    const publisher = new KafkaPublisher({ cluster, names, index, follower, maxBatchBytes })
    const log = { names, cluster, index, follower, publisher, now: options.clock?.now ?? Date.now }
    const driver = new KafkaDriver(log, file)
    try {
      follower.start()
      await follower.freshen()
      return driver
    } catch (error) {
      await driver.close()
      throw error
    }
  } catch (error) {
    await cluster.close()
    throw cluster.toTidingsError(error)
  }
}
