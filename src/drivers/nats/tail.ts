import type { Subscription } from '@nats-io/transport-node'
import type { Link } from './link.ts'
import type { Log } from './provision.ts'

const nanos = 1_000_000
const heartbeatMs = 5_000
const lookAgainMs = 1_000

/** Tells those who listen that the log grew: one consumer without acknowledgements, of headers only, while somebody does. */
export class Tail {
  readonly #link: Link
  readonly #log: Log
  readonly #newInbox: () => string
  readonly #callbacks = new Set<() => void>()
  #subscription: Subscription | undefined
  #heard = 0
  #watch: NodeJS.Timeout | undefined
  #told = false
  #closed = false

  constructor(link: Link, log: Log, newInbox: () => string) {
    this.#link = link
    this.#log = log
    this.#newInbox = newInbox
  }

  listen(callback: () => void): () => void {
    if (this.#closed) return () => {}
    this.#callbacks.add(callback)
    if (!this.#subscription) this.restart()
    return () => {
      this.#callbacks.delete(callback)
      if (this.#callbacks.size === 0) this.#stop()
    }
  }

  /** Also tells everybody: something may have come while nobody was told. */
  restart(): void {
    if (this.#callbacks.size === 0) return
    this.#stop()
    const inbox = this.#newInbox()
    this.#heard = Date.now()
    this.#subscription = this.#link.subscribe(inbox, message => {
      this.#heard = Date.now()
      if (message.headers?.code === 100) {
        if (message.reply) message.respond()
      } else this.#tell()
    })
    this.#watch = setInterval(() => this.#check(), lookAgainMs)
    this.#watch.unref()
    void this.#create(inbox)
  }

  close(): void {
    this.#closed = true
    this.#callbacks.clear()
    this.#stop()
  }

  async #create(inbox: string): Promise<void> {
    const config = {
      deliver_subject: inbox,
      deliver_policy: 'new',
      ack_policy: 'none',
      replay_policy: 'instant',
      headers_only: true,
      flow_control: true,
      idle_heartbeat: heartbeatMs * nanos,
      inactive_threshold: 30_000 * nanos,
      mem_storage: true,
      num_replicas: 1,
    }
    const { log } = this.#log.names
    try {
      await this.#link.api(`CONSUMER.CREATE.${log}`, { stream_name: log, config })
      // What came before the consumer was there.
      this.#tell()
    } catch {
      this.#heard = 0
    }
  }

  #check(): void {
    if (this.#link.isConnected && Date.now() - this.#heard > 3 * heartbeatMs) this.restart()
  }

  /** Many appends are one call. */
  #tell(): void {
    if (this.#told) return
    this.#told = true
    setImmediate(() => {
      this.#told = false
      for (const callback of this.#callbacks) callback()
    })
  }

  #stop(): void {
    clearInterval(this.#watch)
    if (!this.#link.nc.isClosed()) this.#subscription?.unsubscribe()
    this.#subscription = undefined
  }
}
