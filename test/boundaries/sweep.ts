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
import { wrongs } from './verify.ts'
import type { Role } from './worker.ts'

export interface SweepOptions extends Omit<Role, 'home' | 'log' | 'fatal' | 'cold'> {
  /** Whether both workers at this boundary keep nothing in memory between turns. */
  cold(fatal: number): boolean
  /** Each so many-th boundary only. */
  every?: number
  /** URL of a NATS server; without it each log is a folder. */
  nats?: string
  /** Give up waiting for an end after so many ms. */
  patience: number
  /** Go no further after the first boundary with something wrong. */
  untilWrong?: boolean
  onProgress?(text: string): void
}

export interface Sweep {
  /** Boundaries at which a worker died. */
  deaths: number
  /** What was wrong, by boundary. */
  wrong: Map<number, string[]>
}

/** Processes that work at a time; those that wait for a lease to end do not count. */
const atOnce = 2
/** Logs that are under way. */
const lanes = 8

/**
 * Lets a worker die at its first boundary, on another log one at its second, and so on until one lives to the end. Each time
 * a second worker goes on, in this process.
 */
export async function sweep(options: SweepOptions): Promise<Sweep> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-boundaries-'))
  const wrong = new Map<number, string[]>()
  const slots = new Slots(atOnce)
  const { every = 1 } = options
  let next = 1
  let survived = Infinity
  let deaths = 0
  const lane = async () => {
    while (next < survived && !(options.untilWrong && wrong.size > 0)) {
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
      if (found.length > 0) wrong.set(fatal, found)
      options.onProgress?.(`boundary ${fatal}, ${wrong.size} wrong`)
      await rm(home, { recursive: true, force: true })
    }
  }
  try {
    await Promise.all(Array.from({ length: lanes }, lane))
    return { deaths, wrong }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function run(options: Omit<SweepOptions, 'cold'> & Omit<Role, 'log'>, slots: Slots, cache: string) {
  const { nats, story, home, fatal, patience, cold, dropDedup = false } = options
  const log = nats ? `${nats}/boundary-${randomUUID()}` : home
  const bus = new Bus(await openLog(log))
  const ends = new Ends(bus, stories[story].ends.length)
  try {
    await publishWorkflows(bus, programsOf(story))
    await engineOf(bus, story).provision()
    for (const start of stories[story].starts(fatal)) await bus.publish(start)
    const died = await slots.use(() => lifeOf({ ...options, log }, ends, cache))
    if (died) {
      const stop = await host({ bus, story, home, cold, dropDedup })
      await ends.quiet(patience).catch(() => {})
      await stop()
    }
    return { died, found: await wrongs(bus, story, home, fatal) }
  } finally {
    ends.stop()
    await bus.driver.close()
  }
}

/** Whether the worker died at its boundary; false when it lived until nothing was left to do. */
async function lifeOf(role: Role & { patience: number }, ends: Ends, cache: string): Promise<boolean> {
  const worker = fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(role)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // Most of its life would be spent on reading the sources.
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  })
  const over = new AbortController()
  const exited = once(worker, 'exit').then(([code]) => {
    if (code !== null) throw new Error(`the worker ended with ${code}, not at its boundary`)
    return true
  })
  try {
    return await Promise.race([exited, ends.quiet(role.patience, over.signal).then(() => false)])
  } finally {
    over.abort()
    worker.kill('SIGKILL')
    await exited
  }
}

/** Watches a log for the ends of the tasks of a story. */
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

  /** Resolves when all have ended and nothing is left to be settled. */
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
    for await (const { event } of this.#bus.follow(0, [{ types }], this.#watching.signal)) this.#seen.add(event.id)
  }
}

/** Of what is to be done, so many at a time, in order. */
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
