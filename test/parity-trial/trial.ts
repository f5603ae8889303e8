import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect, type ClientConnection } from '../../src/runtime/connect.ts'
import { decide } from '../../src/strangler/control.ts'
import { readParityReport, type ParityReport } from '../../src/strangler/parity-report.ts'
import type { Planted } from './app.ts'

/* Real requests to a real server, which are mirrored to a candidate, and what the report says about it. */

export interface ParityTrialOptions {
  readonly home: string
  readonly bus: string
  readonly planted: Planted
}

const atOnce = 25

/** A server whose requests are all mirrored. Use it with `await using`. */
export class ParityTrial implements AsyncDisposable {
  readonly #options: ParityTrialOptions
  readonly #child: ChildProcess
  readonly #port: number
  readonly #log: ClientConnection
  #sent = 0

  private constructor(options: ParityTrialOptions, child: ChildProcess, port: number, log: ClientConnection) {
    this.#options = options
    this.#child = child
    this.#port = port
    this.#log = log
  }

  static async start(options: ParityTrialOptions): Promise<ParityTrial> {
    const { home, bus, planted } = options
    const child = fork(join(import.meta.dirname, 'server.ts'), [home, bus, planted], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const [port] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`the server ended with ${code}`)
      }),
    ])) as [number]
    const log = await connect(bus, { home })
    await decide(log.bus, planted, { mirror: 100 }, { by: 'the trial' })
    return new ParityTrial(options, child, port, log)
  }

  /** Makes so many requests, and returns the report on everything since a time once all of them are compared. */
  async report(requests: number, since: number): Promise<ParityReport> {
    const before = await this.#report(since)
    let left = requests
    const client = async () => {
      while (left-- > 0) {
        const response = await fetch(`http://127.0.0.1:${this.#port}/${this.#sent++}`)
        if (!response.ok) throw new Error(`the server answered ${response.status}`)
        await response.arrayBuffer()
      }
    }
    await Promise.all(Array.from({ length: atOnce }, client))
    const until = Date.now() + 120_000
    for (;;) {
      const report = await this.#report(since)
      if (report.comparisons >= before.comparisons + requests) return report
      if (Date.now() > until) throw new Error(`${report.comparisons - before.comparisons} of ${requests} were compared`)
      await delay(200)
    }
  }

  now(): number {
    return this.#log.bus.now()
  }

  #report(since: number): Promise<ParityReport> {
    return readParityReport(this.#log.bus, this.#options.planted, { since })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#log.close()
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }
}
