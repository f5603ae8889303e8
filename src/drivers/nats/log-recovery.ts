import { setTimeout } from 'node:timers/promises'
import type { EmptiedCallback } from '../../bus/driver.ts'
import type { TidingsError } from '../../errors.ts'
import type { LogConnection } from './connection.ts'
import type { LogIdentities, NatsLog } from './nats-log.ts'
import { provision } from './provision.ts'

interface LogRecoveryOptions {
  readonly connection: LogConnection
  readonly log: NatsLog
  readonly isClosed: () => boolean
  /** Drops what is known of messages that are gone. */
  readonly forget: () => void
  /** Creates what members need. `startsOver`: the partitions whose offsets begin again. */
  readonly recreate: (startsOver: ReadonlySet<number>) => Promise<void>
  /** `isIntact`: nothing was lost. */
  readonly reconnected: (isIntact: boolean) => void
}

const retryDelayMs = 500
const lookIntervalMs = 2_000

/** Creates streams again that the server lost: after a reconnect, and when a call finds one missing. */
export class LogRecovery {
  readonly #options: LogRecoveryOptions
  #identities: LogIdentities
  readonly #onEmptied = new Set<EmptiedCallback>()
  #confirming: Promise<boolean> | undefined
  #reconnects = 0
  #isLooking = false
  #problem: TidingsError | undefined

  constructor(options: LogRecoveryOptions) {
    this.#options = options
    this.#identities = options.log.identities
    options.connection.onReconnect(() => void this.#reconnected())
    options.connection.onMissing(() => void this.#look())
  }

  /** Why a missing stream cannot be created. */
  get problem(): TidingsError | undefined {
    return this.#problem
  }

  onEmptied(callback: EmptiedCallback): () => void {
    this.#onEmptied.add(callback)
    const { recreated } = this.#options.log
    if (recreated.length > 0) queueMicrotask(() => callback(recreated))
    return () => this.#onEmptied.delete(callback)
  }

  /** Until it is done, or the connection is lost once more. */
  async #reconnected(): Promise<void> {
    const turn = ++this.#reconnects
    while (!this.#options.isClosed() && turn === this.#reconnects) {
      try {
        const isIntact = await this.#confirm()
        this.#options.reconnected(isIntact)
        return
      } catch {
        await setTimeout(retryDelayMs, undefined, { ref: false })
      }
    }
  }

  /** Until all streams are there. */
  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    do {
      try {
        await this.#confirm()
      } catch (error) {
        this.#problem = this.#options.connection.toTidingsError(error)
      }
      await setTimeout(lookIntervalMs, undefined, { ref: false })
    } while (this.#problem && !this.#options.isClosed())
    this.#isLooking = false
  }

  #confirm(): Promise<boolean> {
    return (this.#confirming ??= this.#confirmOnce().finally(() => (this.#confirming = undefined)))
  }

  /** Whether the server still has all streams of this log. Those that it lost are created again. */
  async #confirmOnce(): Promise<boolean> {
    const { connection, log, forget, recreate } = this.#options
    const { names, replicas, partitions } = log
    const settings = { shards: names.shards, partitions: names.partitions, replicas }
    const { identities, partitions: found } = await provision(connection, settings)
    this.#problem = undefined
    const before = this.#identities
    const lost = [...partitions.keys()].filter(i => identities.partitions[i] !== before.partitions[i])
    const isStateLost = identities.state !== before.state
    if (lost.length === 0 && !isStateLost) {
      connection.confirmLog()
      return true
    }
    for (const i of lost) partitions[i]!.beginsAt = found[i]!.beginsAt
    forget()
    connection.confirmLog()
    await recreate(new Set(lost.filter(i => found[i]!.beginsAt === 1)))
    this.#identities = identities
    const isEmpty = isStateLost && lost.length === partitions.length
    for (const callback of this.#onEmptied) callback(isEmpty ? undefined : lost)
    return false
  }
}
