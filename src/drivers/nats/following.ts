import type { LogConnection } from './connection.ts'
import { Follower } from './follower.ts'
import type { NatsLog } from './nats-log.ts'
import type { PulledMessage } from './pull-consumer.ts'

interface FollowingOptions {
  readonly connection: LogConnection
  readonly log: NatsLog
  /** All subjects by default. */
  readonly subject: string | undefined
  /** The sequence after which it starts, in each partition. */
  readonly after: readonly number[]
  readonly newInbox: () => string
}

/** Follows all partitions of a log: what each stores comes in its order, as it arrives. */
export class Following {
  readonly #followers: readonly Follower[]
  #arrival = Promise.withResolvers<void>()
  #isStopped = false

  constructor({ connection, log, subject, after, newInbox }: FollowingOptions) {
    this.#followers = log.partitions.map(
      ({ name }, partition) =>
        new Follower({
          connection,
          stream: name,
          partition,
          subject,
          after: after[partition]!,
          newInbox,
          onArrival: () => this.#arrival.resolve(),
        }),
    )
  }

  async *messages(): AsyncGenerator<PulledMessage> {
    while (!this.#isStopped) {
      await this.#arrival.promise
      this.#arrival = Promise.withResolvers()
      for (const follower of this.#followers)
        for (const pulled of follower.drain()) {
          if (this.#isStopped) return
          yield pulled
        }
    }
  }

  /** Resumes after a reconnect. `startsOver`: the partitions whose sequences begin again. */
  reconnected(startsOver: ReadonlySet<number>): void {
    for (const [partition, follower] of this.#followers.entries()) {
      if (startsOver.has(partition)) follower.startOver()
      else follower.restart()
    }
  }

  stop(): void {
    this.#isStopped = true
    for (const follower of this.#followers) follower.stop()
    this.#arrival.resolve()
  }
}
