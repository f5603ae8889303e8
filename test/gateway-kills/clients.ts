import { randomUUIDv7 } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { bearer } from '../lib/identity.ts'
import { readSocket, readSse, StreamRefused } from '../lib/stream-client.ts'

/*
 * Clients in a process of their own. Each publishes the next request when the one before was answered, under an idempotency key and as often
 * as it takes, and reads the stream of its user, which it resumes at its cursor.
 */

export interface ClientsConfig {
  readonly url: string
  readonly users: readonly { readonly name: string; readonly secret: string; readonly isSocket: boolean }[]
  /** Average time between two requests of a client. */
  readonly intervalMs: number
}

/** What one client did and saw. */
export interface ClientRecord {
  readonly user: string
  /** Requests that were answered: the ids of the events of the n-th. */
  readonly answers: (readonly string[])[]
  /** The ids of the events that its stream sent, in this order. */
  readonly seen: string[]
  /** Answers that a client must not get. */
  readonly refusals: string[]
  attempts: number
  replayed: number
  /** Connections of its stream. */
  streams: number
}

/** From the clients: `ready` when every stream is open, `stopped` when every request was answered, or what was asked for. */
export type ClientsMessage = 'ready' | 'stopped' | readonly ClientRecord[]

/** The events of the n-th request of every client: the keys and bodies of different users are the same. */
export function draftsOf(n: number, correlationid: string): object[] {
  const of = (i: number) => ({ type: 'storm.told', data: { n, i } })
  if (n % 4 === 0) return [{ type: 'storm.asked', data: { n, i: 0 } }]
  return n % 4 === 1 ? [of(0), of(1)] : [{ ...of(0), correlationid }]
}

/** Two hundred clients must leave the machine time to start a gateway. */
const retryDelay = () => setTimeout(50 + Math.random() * 450)

class Client {
  readonly record: ClientRecord
  readonly isOpen: Promise<void>
  readonly #config: ClientsConfig
  readonly #headers: Record<string, string>
  readonly #correlation = randomUUIDv7()
  readonly #stopped = new AbortController()

  constructor(config: ClientsConfig, { name, secret, isSocket }: ClientsConfig['users'][number]) {
    this.#config = config
    this.#headers = bearer(secret)
    this.record = { user: name, answers: [], seen: [], refusals: [], attempts: 0, replayed: 0, streams: 0 }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.isOpen = promise
    void this.#read(name, isSocket ? readSocket : readSse, resolve)
  }

  stop(): void {
    this.#stopped.abort()
  }

  async publish(): Promise<void> {
    await this.isOpen
    const { intervalMs } = this.#config
    await setTimeout(Math.random() * intervalMs)
    for (let n = 0; !this.#stopped.signal.aborted; n++) {
      // Random, so that a kill finds requests in every phase.
      const due = performance.now() + intervalMs * (0.5 + Math.random())
      this.record.answers.push(await this.#request(n))
      await setTimeout(Math.max(0, due - performance.now()))
    }
  }

  async #request(n: number): Promise<readonly string[]> {
    const body = JSON.stringify(draftsOf(n, this.#correlation))
    const headers = { ...this.#headers, 'content-type': 'application/json', 'idempotency-key': `request-${n}` }
    for (;;) {
      this.record.attempts++
      try {
        const response = await fetch(`${this.#config.url}/events`, { method: 'POST', headers, body })
        const text = await response.text()
        if (response.status === 202) {
          if (response.headers.has('idempotency-replayed')) this.record.replayed++
          return (JSON.parse(text) as { ids: string[] }).ids
        }
        if (response.status !== 503) {
          this.record.refusals.push(`request ${n}: ${response.status} ${text}`)
          return []
        }
      } catch {
        // The gateway is gone.
      }
      await retryDelay()
    }
  }

  async #read(user: string, read: typeof readSse, onOpen: () => void): Promise<never> {
    let cursor: string | undefined
    for (;;) {
      this.record.streams++
      const query = `user=${user}${cursor === undefined ? '' : `&after=${cursor}`}`
      await read(
        this.#config.url,
        query,
        (at, event) => {
          cursor = at
          onOpen()
          if (event) this.record.seen.push(event.id)
          return false
        },
        this.#headers,
      ).catch((error: unknown) => {
        if (error instanceof StreamRefused && error.status !== 503) this.record.refusals.push(error.message)
      })
      await retryDelay()
    }
  }
}

const send = (message: ClientsMessage) => process.send?.(message)

async function run(config: ClientsConfig): Promise<void> {
  const clients = config.users.map(user => new Client(config, user))
  process.on('message', question => {
    if (question === 'stop') for (const client of clients) client.stop()
    else send(clients.map(({ record }) => record))
  })
  await Promise.all(clients.map(({ isOpen }) => isOpen))
  send('ready')
  await Promise.all(clients.map(client => client.publish()))
  send('stopped')
}

process.once('message', (config: ClientsConfig) => void run(config))
