import { randomUUID } from 'node:crypto'
import type { LogConnection } from './connection.ts'
import { PullConsumer, type PulledMessage } from './pull-consumer.ts'

const nanos = 1_000_000
const maxQueued = 512
const inactiveTtlMs = 60_000
const retryDelayMs = 500

interface FollowerOptions {
  readonly connection: LogConnection
  readonly stream: string
  readonly partition: number
  /** All subjects by default. */
  readonly subject: string | undefined
  /** The sequence after which it starts. */
  readonly after: number
  readonly newInbox: () => string
  readonly onArrival: () => void
}

/**
 * Follows a stream through an ephemeral consumer. It requests only as many messages as it has room for, so a slow reader
 * holds nothing but its position. If the consumer is gone, another one continues after the last message.
 */
export class Follower {
  readonly #options: FollowerOptions
  #last: number
  #consumerSeq = 0
  #queue: PulledMessage[] = []
  #consumer: PullConsumer | undefined
  #retry: NodeJS.Timeout | undefined
  readonly #check: NodeJS.Timeout
  #isCreating = false
  #stopped = false

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#last = options.after
    this.restart()
    this.#check = setInterval(() => this.#consumer?.check(), 1_000)
    this.#check.unref()
  }

  /** What has arrived since the last call, in order. Requests more. */
  drain(): PulledMessage[] {
    const queue = this.#queue
    this.#queue = []
    this.#consumer?.pull()
    return queue
  }

  /** Creates a consumer that starts after the last received message. */
  restart(): void {
    this.#consumer?.stop()
    this.#consumer = undefined
    if (!this.#stopped) void this.#create()
  }

  /** The log was replaced by an empty one. */
  startOver(): void {
    this.#last = 0
    this.restart()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    clearInterval(this.#check)
    this.#consumer?.stop()
  }

  async #create(): Promise<void> {
    if (this.#isCreating) return
    this.#isCreating = true
    this.#consumerSeq = 0
    const last = this.#last
    const { connection, stream, partition, subject, newInbox } = this.#options
    const name = randomUUID()
    const config = {
      name,
      deliver_policy: 'by_start_sequence',
      opt_start_seq: last + 1,
      ack_policy: 'none',
      replay_policy: 'instant',
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: inactiveTtlMs * nanos,
      ...(subject && { filter_subject: subject }),
    }
    try {
      await connection.api(`CONSUMER.CREATE.${stream}.${name}`, { stream_name: stream, config })
      // It was created for a log that is gone.
      if (this.#stopped || last !== this.#last) return
      this.#consumer = new PullConsumer({
        connection,
        partition,
        stream,
        consumer: name,
        newInbox,
        givesBack: false,
        room: () => maxQueued - this.#queue.length,
        onMessage: pulled => this.#receive(pulled),
        onMissing: () => this.restart(),
        onSilence: () => this.restart(),
      })
    } catch (error) {
      connection.noteMissing(error)
      this.#retry = setTimeout(() => void this.#create(), retryDelayMs)
    } finally {
      this.#isCreating = false
      if (last !== this.#last) this.restart()
    }
  }

  #receive(pulled: PulledMessage): void {
    // Without acknowledgements a lost delivery is not repeated.
    if (pulled.consumerSeq !== ++this.#consumerSeq) return this.restart()
    this.#last = pulled.seq
    this.#queue.push(pulled)
    this.#options.onArrival()
  }
}
