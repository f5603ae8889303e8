import type { Now } from '../../bus/clock.ts'
import type { KafkaCluster } from './cluster.ts'
import type { LogFollower } from './follower.ts'
import type { LocalIndex } from './local-index.ts'
import type { LogNames } from './names.ts'
import type { KafkaPublisher } from './publisher.ts'

/** A log on a cluster as this process sees it: what the parts of the driver work with. */
export interface KafkaLog {
  readonly names: LogNames
  readonly cluster: KafkaCluster
  readonly index: LocalIndex
  readonly follower: LogFollower
  readonly publisher: KafkaPublisher
  readonly now: Now
}
