import { setTimeout as delay } from 'node:timers/promises'
import type { ReportRequest } from './app.ts'

/** What a client got. */
export interface Answered {
  readonly user: string
  /** Ms, of `performance.now`. */
  readonly sent: number
  readonly received: number
  /** Undefined if the connection ended without an answer. */
  readonly status: number | undefined
  /** Why there was no answer. */
  readonly problem?: string
  readonly side?: 'old' | 'candidate'
  readonly isRight?: boolean
}

/** Clients that send requests of random users to random servers, each its next one a moment after the answer. */
export class Load {
  readonly answers: Answered[] = []
  /** What every request has besides its user. */
  more: Partial<ReportRequest> = {}
  ports: readonly number[]
  readonly #users: readonly string[]
  readonly #stopped = new AbortController()
  readonly #clients: Promise<void>[]

  constructor({
    ports,
    users,
    clients,
    pauseMs,
  }: { ports: readonly number[]; users: readonly string[]; clients: number; pauseMs: number }) {
    // biome-ignore format: one line
    this.ports = ports
    this.#users = users
    this.#clients = Array.from({ length: clients }, () => this.#run(pauseMs))
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await Promise.all(this.#clients)
  }

  async #run(pauseMs: number): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      const [user, port] = [this.#users, this.ports].map(list => list[Math.floor(Math.random() * list.length)]!) as [string, number] // biome-ignore format: one line
      this.answers.push(await this.#ask(user, port))
      await delay(pauseMs * 2 * Math.random(), undefined, { signal }).catch(() => {})
    }
  }

  async #ask(user: string, port: number): Promise<Answered> {
    const n = Math.floor(Math.random() * 1_000)
    const sent = performance.now()
    try {
      const body = JSON.stringify({ user, n, ...this.more })
      const response = await fetch(`http://127.0.0.1:${port}/reports`, { method: 'POST', body })
      const { total, side } = (await response.json()) as { total?: number; side?: 'old' | 'candidate' }
      const { status } = response
      return { user, sent, received: performance.now(), status, ...(side && { side, isRight: total === n * 2 }) }
    } catch (error) {
      const problem = String((error as Error).cause ?? error)
      return { user, sent, received: performance.now(), status: undefined, problem }
    }
  }
}
