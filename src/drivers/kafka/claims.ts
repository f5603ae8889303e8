import { randomUUID } from 'node:crypto'
import type { EncodedEvent } from '../../bus/driver.ts'
import type { KafkaLog } from './kafka-log.ts'
import { stateRecord } from './records.ts'

/**
 * Claims, which succeed once. The state keeps the first record of a key, so the order of the partition decides between two members: whose
 * record comes first has the claim, as every process reads it.
 */
export class KafkaClaims {
  readonly #log: KafkaLog

  constructor(log: KafkaLog) {
    this.#log = log
  }

  async claim(entry: EncodedEvent): Promise<boolean> {
    const { names, index, publisher, follower } = this.#log
    const key = `claim/${entry.event.id}`
    if (index.state(key)) return false
    const partition = names.partitionOf(entry.event.correlationid)
    const own = randomUUID()
    await publisher.store([stateRecord(names, partition, key, own)])
    await follower.freshen([partition])
    if (index.state(key)?.value !== own) return false
    await publisher.publish([entry])
    return true
  }
}
