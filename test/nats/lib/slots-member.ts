import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { until } from '../../../src/testing/wait.ts'
import type { Report } from './slots-child.ts'

/** When a delivery was processed, by the monotonic clock of the machine. */
export interface Run {
  /** Of the event. */
  readonly id: string
  readonly begin: number
  end: number
}

export const now = () => Number(process.hrtime.bigint() / 1_000n) / 1_000

/** The greatest number of runs at one moment. */
export function maxAtOnce(runs: readonly Run[]): number {
  const changes = runs.flatMap(({ begin, end }) => [
    { at: begin, by: 1 },
    { at: end, by: -1 },
  ])
  let running = 0
  let max = 0
  for (const { by } of changes.toSorted((a, b) => a.at - b.at || a.by - b.by)) max = Math.max(max, (running += by))
  return max
}

/** A member of several groups in a process of its own, with what it processed. */
export class Member {
  /** By limit. */
  readonly runs = new Map<number, Run[]>()
  readonly #open = new Map<string, Run>()
  readonly #child: ChildProcess
  readonly #reports: string[] = []

  static async join(url: string, leaseMs: number, limits: readonly number[]): Promise<Member> {
    const member = new Member(fork(join(import.meta.dirname, 'slots-child.ts'), [url, leaseMs, ...limits].map(String)))
    await until(() => member.#reports.includes('joined'), { within: 20_000 })
    return member
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (report: Report) => this.#receive(report))
    onTestFinished(() => void child.kill('SIGKILL'))
  }

  async close(): Promise<void> {
    this.#child.send('close')
    await until(() => this.#reports.includes('closed'), { within: 20_000 })
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
    this.#endOpen()
  }

  /** What it processes then does not count afterwards: when its lease is over, other members get it. */
  async sleep(ms: number): Promise<void> {
    this.#child.kill('SIGSTOP')
    await setTimeout(100)
    this.#endOpen()
    await setTimeout(ms - 100)
    this.#child.kill('SIGCONT')
  }

  #endOpen(): void {
    for (const run of this.#open.values()) run.end = now()
    this.#open.clear()
  }

  #receive(report: Report): void {
    if (report.kind !== 'begin' && report.kind !== 'end') return void this.#reports.push(report.kind)
    const { kind, limit, id, at } = report
    const key = `${limit} ${id}`
    if (kind === 'begin') {
      const run = { id, begin: at, end: Infinity }
      this.#open.set(key, run)
      const runs = this.runs.get(limit) ?? []
      this.runs.set(limit, runs)
      runs.push(run)
    } else {
      const run = this.#open.get(key)
      if (run) run.end = at
      this.#open.delete(key)
    }
  }
}
