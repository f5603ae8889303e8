import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Bus } from '../../src/bus/bus.ts'
import { publishWorkflows } from '../../src/tasks/definitions.ts'
import { until } from '../../src/testing/wait.ts'
import { engineOf, host, programsOf, stories } from './host.ts'
import { openLog } from './log.ts'
import { faultsOf } from './verify.ts'
import type { Role } from './worker.ts'

export interface SweepOptions extends Omit<Role, 'home' | 'log' | 'fatal' | 'cold'> {
  /** Whether both workers at this boundary cache no tasks. */
  cold(fatal: number): boolean
  /** Skips all boundaries but each n-th. */
  every?: number
  /** URL of a NATS server; by default each log is a folder. */
  nats?: string
  /** Of each log on NATS, 1 by default. */
  partitions?: number
  /** The sweep stops waiting for the ends of tasks after this time. */
  patienceMs: number
  /** Stops after the first boundary with a fault. */
  untilFault?: boolean
  onProgress?(text: string): void
}

export interface Sweep {
  /** Number of boundaries at which a worker died. */
  deaths: number
  /** By boundary. */
  faults: Map<number, string[]>
}

/** Processes that work at a time, without those that wait for a lease to end. */
const maxWorkers = 2
/** Logs that are in use at a time. */
const lanes = 8

/**
 * Kills a worker at its first boundary, another one on another log at its second, and so on until one reaches the end. After each
 * death a second worker, in this process, continues.
 */
export async function sweep(options: SweepOptions): Promise<Sweep> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-boundaries-'))
  const faults = new Map<number, string[]>()
  const slots = new Slots(maxWorkers)
  const { every = 1 } = options
  let next = 1
  let survived = Infinity
  let deaths = 0
  const lane = async () => {
    while (next < survived && !(options.untilFault && faults.size > 0)) {
      const fatal = next
      next += every
      const home = await mkdtemp(join(folder, 'home-'))
      const { died, found } = await run(
        { ...options, fatal, home, cold: options.cold(fatal) },
        slots,
        join(folder, 'cache'),
      )
      if (died) deaths++
      else survived = Math.min(survived, fatal)
      if (found.length > 0) faults.set(fatal, found)
      options.onProgress?.(`boundary ${fatal}, ${faults.size} with faults`)
      await rm(home, { recursive: true, force: true })
    }
  }
  try {
    await Promise.all(Array.from({ length: lanes }, lane))
    return { deaths, faults }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function run(options: Omit<SweepOptions, 'cold'> & Omit<Role, 'log'>, slots: Slots, cache: string) {
  const { nats, partitions = 1, story, home, fatal, patienceMs, cold, dropDedup = false } = options
  const search = `shards=${partitions}&partitions=${partitions}`
  const log = nats ? `${nats}/boundary-${randomUUID()}?${search}` : home
  const bus = new Bus(await openLog(log))
  const ends = new Ends(bus, stories[story].ends.length)
  try {
    await publishWorkflows(bus, programsOf(story))
    await engineOf(bus, story).provision()
    for (const start of stories[story].starts(fatal)) await bus.publish(start)
    const died = await slots.use(() => diesAtBoundary({ ...options, log }, ends, cache))
    if (died) {
      const stop = await host({ bus, story, home, cold, dropDedup })
      await ends.quiet(patienceMs).catch(() => {})
      await stop()
    }
    return { died, found: await faultsOf(bus, story, home, fatal) }
  } finally {
    ends.stop()
    await bus.driver.close()
  }
}

/** True if the worker died at its boundary, false if it finished all work. */
async function diesAtBoundary(role: Role & { patienceMs: number }, ends: Ends, cache: string): Promise<boolean> {
  const worker = fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(role)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // Loading the sources would take longer than the run.
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  })
  const over = new AbortController()
  const exited = once(worker, 'exit').then(([code]) => {
    if (code !== null) throw new Error(`the worker ended with ${code}, not at its boundary`)
    return true
  })
  try {
    return await Promise.race([exited, ends.quiet(role.patienceMs, over.signal).then(() => false)])
  } finally {
    over.abort()
    worker.kill('SIGKILL')
    await exited
  }
}

/** Counts the ends of the tasks of a story on a log. */
class Ends {
  readonly #bus: Bus
  readonly #tasks: number
  readonly #seen = new Set<string>()
  readonly #watching = new AbortController()

  constructor(bus: Bus, tasks: number) {
    this.#bus = bus
    this.#tasks = tasks
    void this.#watch()
  }

  /** Resolves when all tasks have ended and everything is settled. */
  quiet(within: number, signal?: AbortSignal): Promise<unknown> {
    const { driver } = this.#bus
    const isQuiet = async () =>
      signal?.aborted ||
      (this.#seen.size >= this.#tasks &&
        (await driver.listGroups()).every(({ lag }) => lag === 0) &&
        (await Array.fromAsync(driver.listDeferred())).length === 0)
    return until(isQuiet, { within })
  }

  stop(): void {
    this.#watching.abort()
  }

  async #watch(): Promise<void> {
    const types = ['agent.task.completed', 'agent.task.failed', 'agent.task.cancelled']
    for await (const { event } of this.#bus.follow('0', [{ types }], this.#watching.signal)) this.#seen.add(event.id)
  }
}

/** Limits how many pieces of work run at a time, first come, first served. */
class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(free: number) {
    this.#free = free
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}
