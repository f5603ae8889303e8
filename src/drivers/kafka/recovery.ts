import { setTimeout as sleep } from 'node:timers/promises'
import type { EmptiedCallback } from '../../bus/driver.ts'
import type { TidingsError } from '../../errors.ts'
import type { KafkaLog } from './kafka-log.ts'
import { provisionTopics } from './topics.ts'

const retryDelayMs = 500

/** Makes the log again when the cluster has lost its topics. */
export class KafkaRecovery {
  readonly #log: KafkaLog
  readonly #recreate: () => Promise<void>
  readonly #callbacks = new Set<{ readonly callback: EmptiedCallback }>()
  #problem: TidingsError | undefined
  #isClosed = false

  /** `recreate`: what members of groups need of a log that is empty again. */
  constructor(log: KafkaLog, recreate: () => Promise<void>) {
    this.#log = log
    this.#recreate = recreate
  }

  /** Why the log cannot be made again. */
  get problem(): TidingsError | undefined {
    return this.#problem
  }

  onEmptied(callback: EmptiedCallback): () => void {
    const entry = { callback }
    this.#callbacks.add(entry)
    return () => void this.#callbacks.delete(entry)
  }

  close(): void {
    this.#isClosed = true
  }

  /** Makes the topics, and forgets what was read of the old ones. Until it is done. */
  async run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#recover()
        this.#problem = undefined
        return void this.#report()
      } catch (error) {
        this.#problem = this.#log.cluster.unavailable(error)
        await sleep(retryDelayMs, undefined, { ref: false })
      }
    }
  }

  /** A partition lost what it had last. */
  truncated(partition: number): void {
    for (const { callback } of this.#callbacks) callback([partition])
  }

  async #recover(): Promise<void> {
    const { cluster, index, names, publisher } = this.#log
    const { ids } = await provisionTopics(cluster, performance.now() + cluster.timeoutMs)
    publisher.reset()
    for (let partition = 0; partition < names.partitions; partition++)
      for (const topic of ['events', 'state'] as const) index.forget(topic, partition)
    for (const [topic, id] of ids) index.setMeta(topic, id)
  }

  /** When the new topics are followed. */
  async #report(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#log.follower.freshen()
        await this.#recreate()
        for (const { callback } of this.#callbacks) callback()
        return
      } catch {
        await sleep(retryDelayMs, undefined, { ref: false })
      }
    }
  }
}
