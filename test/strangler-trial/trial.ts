import { setTimeout as delay } from 'node:timers/promises'
import type { Nats } from '../../src/testing/nats/start.ts'
import { until } from '../../src/testing/wait.ts'
import { connect, type ClientConnection } from '../../src/runtime/connect.ts'
import { decide, readStrangler, rolledBack, type Control } from '../../src/strangler/control.ts'
import { violationIn } from '../../src/strangler/criteria.ts'
import { measuredType, type Measurement } from '../../src/strangler/meter.ts'
import { readParityReport, type ParityReport } from '../../src/strangler/parity-report.ts'
import { strangledName } from './app.ts'
import { Load, type Answered } from './load.ts'
import { startHost, stopHost, type Hosted } from './processes.ts'

/*
 * A company's HTTP servers under load, while an agent takes over: 0, 5, 50 and 100 %, a server that restarts, a candidate that fails, hangs, or
 * answers wrongly, and a broker that goes away. What it checks: every request gets an answer, each user stays on a side, and the rollback comes within 5 seconds.
 */

export interface TrialOptions {
  readonly home: string
  readonly bus: string
  readonly servers: number
  readonly users: number
  readonly clients: number
  readonly pauseMs: number
  readonly stageMs: number
  /** Whether a server restarts at 50 %. */
  readonly restart: boolean
  readonly faults: readonly ('fails' | 'hangs' | 'wrong')[]
  /** A broker that goes away at 100 %, for so long. */
  readonly outage?: { readonly broker: Nats; readonly ms: number }
  onStage?(text: string): void
}

export interface Stage {
  readonly name: string
  readonly requests: number
  /** Without an answer. */
  readonly lost: number
  readonly problems: readonly string[]
  readonly errors: number
  readonly wrong: number
  readonly candidate: number
  /** Users that were on both sides after the change had reached every process. */
  readonly unsteady: readonly string[]
  /** Of the time between request and answer, in ms. */
  readonly p95: number
}

export interface Rollback {
  readonly fault: string
  readonly criterion: string
  /** From the beginning of the second in which the criterion was met to the decision, in ms. */
  readonly decidedMs: number
  /** To the last request that still went to the candidate. */
  readonly lastMs: number
  /** Requests without an answer. */
  readonly lost: number
}

export interface TrialResult {
  readonly stages: readonly Stage[]
  readonly rollbacks: readonly Rollback[]
  /** No user came back to `old` while the percentage grew. */
  readonly isMonotone: boolean
  readonly report: ParityReport
}

const rollbackWithinMs = 60_000

export async function stranglerTrial(options: TrialOptions): Promise<TrialResult> {
  const trial = new Trial(options)
  try {
    return await trial.run()
  } finally {
    await trial.stop()
  }
}

class Trial {
  readonly #options: TrialOptions
  readonly #hosts: Hosted[] = []
  readonly #stages: Stage[] = []
  readonly #rollbacks: Rollback[] = []
  #load!: Load
  #log!: ClientConnection

  constructor(options: TrialOptions) {
    this.#options = options
  }

  async run(): Promise<TrialResult> {
    const { servers, users, clients, pauseMs, stageMs, restart, faults, outage } = this.#options
    const began = Date.now()
    this.#hosts.push(await startHost('worker', this.#options))
    for (let i = 0; i < servers; i++) this.#hosts.push(await startHost('server', this.#options))
    this.#log = await connect(this.#options.bus, { home: this.#options.home })
    const names = Array.from({ length: users }, (_, i) => `user-${i}`)
    this.#load = new Load({ ports: this.#ports, users: names, clients, pauseMs })

    await this.#set({ percent: 0, mirror: 20 })
    this.#load.more = { repeatable: true }
    await this.#stage('0 %', stageMs)
    const moved = new Set<string>()
    let isMonotone = true
    for (const percent of [5, 50, 100]) {
      await this.#set({ percent })
      const { old, candidate } = await this.#stage(`${percent} %`, stageMs)
      isMonotone &&= old.isDisjointFrom(moved)
      for (const user of candidate) moved.add(user)
      if (percent === 50 && restart) {
        await this.#restartServer()
        await this.#stage('50 %, one server restarted', stageMs)
      }
    }
    if (outage) await this.#outage(outage.broker, outage.ms)
    this.#load.more = {}
    for (const fault of faults) await this.#rollback(fault)
    await this.#set(rolledBack)
    await this.#load.stop()
    const report = await readParityReport(this.#log.bus, strangledName, { since: began })
    return { stages: this.#stages, rollbacks: this.#rollbacks, isMonotone, report }
  }

  async stop(): Promise<void> {
    await this.#load?.stop()
    await this.#log?.close()
    await Promise.all(this.#hosts.map(stopHost))
  }

  get #ports(): number[] {
    return this.#hosts.flatMap(({ port }) => port || [])
  }

  async #set(change: Partial<Control>): Promise<void> {
    await decide(this.#log.bus, strangledName, change, { by: 'trial' })
    await this.#settled()
  }

  /** Resolves when every server knows the newest version, and has answered what came before. */
  async #settled(): Promise<void> {
    const { version } = (await readStrangler(this.#log.bus, strangledName))!
    for (const port of this.#ports)
      await until(async () => (await (await fetch(`http://127.0.0.1:${port}/`)).text()) === String(version))
    const known = performance.now()
    await until(() => this.#load.answers.filter(({ sent }) => sent > known).length >= this.#options.clients)
  }

  /** Returns the users of each side. */
  async #stage(name: string, ms: number): Promise<Record<'old' | 'candidate', Set<string>>> {
    const { answers } = this.#load
    const from = performance.now()
    await delay(ms)
    const to = performance.now()
    // Their answers.
    await until(() => answers.some(({ sent }) => sent > to))
    const seen = answers.filter(({ sent }) => sent >= from && sent < to)
    this.#add(name, seen)
    const on = (wanted: string) => new Set(seen.flatMap(({ user, side }) => (side === wanted ? [user] : [])))
    return { old: on('old'), candidate: on('candidate') }
  }

  #add(name: string, seen: readonly Answered[]): void {
    const sides = Map.groupBy(
      seen.filter(({ side }) => side !== undefined),
      ({ user }) => user,
    )
    const sorted = seen.map(({ sent, received }) => received - sent).toSorted((a, b) => a - b)
    const stage: Stage = {
      name,
      requests: seen.length,
      lost: seen.filter(({ status }) => status === undefined).length,
      problems: [...new Set(seen.flatMap(({ problem }) => problem ?? []))],
      errors: seen.filter(({ status }) => status !== undefined && status !== 200).length,
      wrong: seen.filter(({ isRight }) => isRight === false).length,
      candidate: seen.filter(({ side }) => side === 'candidate').length,
      unsteady: [...sides].flatMap(([user, all]) => (new Set(all.map(({ side }) => side)).size > 1 ? [user] : [])),
      p95: Math.round(sorted[Math.floor(sorted.length * 0.95)] ?? 0),
    }
    this.#stages.push(stage)
    this.#options.onStage?.(JSON.stringify(stage))
  }

  async #restartServer(): Promise<void> {
    const [old] = this.#hosts.splice(1, 1)
    this.#load.ports = this.#ports
    await stopHost(old!)
    this.#hosts.push(await startHost('server', this.#options))
    this.#load.ports = this.#ports
  }

  /** While the broker is away, `old` answers. Users are on both sides here, so only answers count. */
  async #outage(broker: Nats, ms: number): Promise<void> {
    const from = performance.now()
    await broker.kill('SIGKILL')
    await delay(ms)
    await broker.restart()
    const back = performance.now()
    await until(() => this.#load.answers.some(({ sent, side }) => sent > back && side === 'candidate'), {
      within: rollbackWithinMs,
    })
    const to = performance.now()
    await until(() => this.#load.answers.some(({ sent }) => sent > to))
    const seen = this.#load.answers.filter(({ sent }) => sent >= from && sent < to)
    this.#add('100 %, broker away and back', seen)
    // What it did not answer counts against it: a person sets the percentage again.
    await this.#set({ percent: 0 })
  }

  /** Lets the candidate err at 50 %, and measures how long users still meet it. */
  async #rollback(fault: 'fails' | 'hangs' | 'wrong'): Promise<void> {
    this.#load.more = { repeatable: fault === 'wrong' }
    await this.#set({ percent: 50, mirror: fault === 'wrong' ? 100 : 20 })
    const from = performance.now()
    const epoch = Date.now() - from
    this.#load.more = { ...this.#load.more, fault }
    const document = await until(
      async () => {
        const found = await readStrangler(this.#log.bus, strangledName)
        return found?.decision?.violation && found.control.percent === 0 ? found : undefined
      },
      { within: rollbackWithinMs, what: `the rollback of a candidate that ${fault}` },
    )
    await this.#settled()
    this.#load.more = {}
    const { at, violation, version } = document.decision!
    const met = (await this.#metAt(version - 1)) - epoch
    const seen = this.#load.answers.filter(({ sent }) => sent >= from)
    const last = Math.max(...seen.filter(each => isOfCandidate(each, fault)).map(({ sent }) => sent), from)
    const rollback: Rollback = {
      fault,
      criterion: violation!.criterion,
      decidedMs: Math.round(Date.parse(at) - epoch - met),
      lastMs: Math.round(last - met),
      lost: seen.filter(({ status }) => status === undefined).length,
    }
    this.#rollbacks.push(rollback)
    this.#options.onStage?.(JSON.stringify(rollback))
  }

  /** When the criterion was met: the beginning of the second whose measurement, with those before, violates it. Ms since the epoch. */
  async #metAt(version: number): Promise<number> {
    const { bus } = this.#log
    const { rollback: criteria } = (await readStrangler(bus, strangledName))!
    const measured: Measurement[] = []
    for await (const { event } of bus.read({ filter: [{ types: [measuredType] }] })) {
      const measurement = (await bus.resolve(event)).data as Measurement
      if (measurement.version !== version) continue
      measured.push(measurement)
      const from = new Date(Date.parse(measurement.until) - criteria!.window).toISOString()
      const inWindow = measured.filter(({ until: end }) => end > from)
      const ageMs = Date.parse(measurement.until) - Date.parse(measured[0]!.since)
      if (violationIn(inWindow, criteria!, ageMs)) return Date.parse(measurement.since)
    }
    throw new Error(`no measurement of version ${version} violates a criterion`)
  }
}

const isOfCandidate = ({ status, side }: Answered, fault: string) =>
  fault === 'wrong' ? side === 'candidate' : status !== undefined && status !== 200
