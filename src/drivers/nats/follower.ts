import { randomUUID } from 'node:crypto'
import type { LogConnection } from './connection.ts'
import type { NatsLog } from './provision.ts'
import { PullConsumer, type PulledMessage } from './pull-consumer.ts'

const nanos = 1_000_000
const maxQueued = 512
const inactiveTtlMs = 60_000
const retryDelayMs = 500

interface FollowerOptions {
  readonly connection: LogConnection
  readonly log: NatsLog
  /** All subjects by default. */
  readonly subject: string | undefined
  /** The sequence after which it starts. */
  readonly after: number
  readonly newInbox: () => string
}

/**
 * Follows a stream through an ephemeral consumer. It requests only as many messages as it has room for, so a slow reader
 * holds nothing but its position. If the consumer is gone, another one continues after the last message.
 */
export class Follower {
  readonly #connection: LogConnection
  readonly #log: NatsLog
  readonly #subject: string | undefined
  readonly #newInbox: () => string
  #last: number
  #consumerSeq = 0
  #queue: PulledMessage[] = []
  #consumer: PullConsumer | undefined
  #arrival: PromiseWithResolvers<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #check: NodeJS.Timeout | undefined
  #isCreating = false
  #stopped = false

  constructor({ connection, log, subject, after, newInbox }: FollowerOptions) {
    this.#connection = connection
    this.#log = log
    this.#subject = subject
    this.#last = after
    this.#newInbox = newInbox
  }

  async *messages(): AsyncGenerator<PulledMessage> {
    this.restart()
    this.#check = setInterval(() => this.#consumer?.check(), 1_000)
    this.#check.unref()
    while (!this.#stopped) {
      const queue = this.#queue
      this.#queue = []
      for (const pulled of queue) {
        if (this.#stopped) return
        yield pulled
      }
      this.#consumer?.pull()
      if (this.#queue.length > 0) continue
      this.#arrival = Promise.withResolvers()
      await this.#arrival.promise
    }
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
    this.#arrival?.resolve()
  }

  async #create(): Promise<void> {
    if (this.#isCreating) return
    this.#isCreating = true
    this.#consumerSeq = 0
    const last = this.#last
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
      ...(this.#subject && { filter_subject: this.#subject }),
    }
    const { log } = this.#log.names
    try {
      await this.#connection.api(`CONSUMER.CREATE.${log}.${name}`, { stream_name: log, config })
      // It was created for a log that is gone.
      if (this.#stopped || last !== this.#last) return
      this.#consumer = new PullConsumer({
        connection: this.#connection,
        stream: log,
        consumer: name,
        newInbox: this.#newInbox,
        givesBack: false,
        room: () => maxQueued - this.#queue.length,
        onMessage: pulled => this.#receive(pulled),
        onMissing: () => this.restart(),
        onSilence: () => this.restart(),
      })
    } catch {
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
    this.#arrival?.resolve()
  }
}
