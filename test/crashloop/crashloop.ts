import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../../src/bus/bus.ts'
import type { Broker } from '../kills/broker.ts'
import { AskedFile } from './asked.ts'
import { openLog } from './log.ts'
import { type Event, plan, type Plan } from './jobs.ts'
import { answerAll } from './person.ts'
import { untilStored } from './publish.ts'
import { Random } from './random.ts'

export interface CrashloopOptions {
  /** What to work on, in place of the embedded log. */
  broker?: Broker
  seed: number
  /** For how long jobs are posted and processes killed. */
  ms: number
  workers: number
  jobsPerSecond: number
  /** Time between two kills of a worker. */
  killEveryMs: [least: number, most: number]
  /** Time between two kills of the server; 0 for none. */
  serverKillEveryMs: number
  /** Time between two fan-outs; 0 for none. */
  fanOutEveryMs: number
  /** Folder of the embedded log and of the file of what was asked for. */
  home: string
  onProgress?(text: string): void
}

interface Counts {
  kills: number
  serverKills: number
  jobs: number
  /** Workers that ended without being killed, and were started again. */
  ownEnds: number
}

/** What was done to the log, and where it is read. The workers go on until `stop`. */
export interface Crashloop {
  readonly home: string
  /** Address of the log on a server. */
  readonly address: string | undefined
  /** The file of what was asked for. */
  readonly asked: string
  readonly counts: Readonly<Counts>
  /** How many approvals a person answered. */
  readonly answered: () => number
  stop(): Promise<void>
}

/** Posts jobs to workers on one log and kills them at random moments; returns when all that it posted is acknowledged. */
export async function crashloop(options: CrashloopOptions): Promise<Crashloop> {
  const { home } = options
  const address = options.broker?.address('crashloop')
  const log = address ?? home
  const bus = await openLog(log)
  const asked = join(home, 'asked.jsonl')
  const file = new AskedFile(asked)
  const over = new AbortController()
  const counts: Counts = { kills: 0, serverKills: 0, jobs: 0, ownEnds: 0 }
  const workers = Array.from({ length: options.workers }, () => new Worker(log, counts))
  let answered = 0
  const person = answerAll(bus, over.signal, () => answered++)
  const stop = async () => {
    over.abort()
    for (const worker of workers) worker.stop()
    await person.catch(() => {})
    await bus.driver.close()
    file.close()
  }
  try {
    await Promise.all(workers.map(worker => worker.start()))
    const posting = post(bus, file, options, counts)
    const report = setInterval(() => options.onProgress?.(`${counts.jobs} jobs, ${counts.kills} kills`), 1_000)
    await Promise.race([
      Promise.all([posting, killWorkers(workers, options, counts), killServer(options, counts)]),
      person,
    ])
    clearInterval(report)
    return { home, address, asked, counts, answered: () => answered, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A worker that starts again whenever it ends, as a process manager sees to it. */
class Worker {
  readonly #log: string
  readonly #counts: Counts
  #process: ChildProcess | undefined
  #isKilled = false
  #isStopped = false

  constructor(log: string, counts: Counts) {
    this.#log = log
    this.#counts = counts
  }

  /** Resolves when it is ready for the first time. */
  start(): Promise<void> {
    const first = this.#spawn()
    return new Promise((resolve, reject) => {
      first.once('message', () => resolve())
      first.once('exit', code => reject(new Error(`the worker ended with ${code} before it was ready`)))
    })
  }

  kill() {
    this.#isKilled = true
    this.#process?.kill('SIGKILL')
  }

  stop() {
    this.#isStopped = true
    this.kill()
  }

  #spawn(): ChildProcess {
    this.#isKilled = false
    const process = fork(join(import.meta.dirname, 'worker.ts'), [this.#log], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#process = process
    process.once('exit', () => {
      if (this.#isStopped) return
      if (!this.#isKilled) this.#counts.ownEnds++
      this.#spawn()
    })
    return process
  }
}

async function killWorkers(workers: readonly Worker[], options: CrashloopOptions, counts: Counts) {
  const random = new Random(options.seed + 1)
  const end = performance.now() + options.ms
  for (;;) {
    const pause = random.between(...options.killEveryMs)
    if (performance.now() + pause > end) return
    await setTimeout(pause)
    random.pick(workers).kill()
    counts.kills++
  }
}

async function killServer({ broker, ms, serverKillEveryMs, seed }: CrashloopOptions, counts: Counts) {
  if (!broker || serverKillEveryMs === 0) return
  const random = new Random(seed + 2)
  const end = performance.now() + ms
  for (;;) {
    const pause = random.between(0.5, 1.5) * serverKillEveryMs
    if (performance.now() + pause > end) return
    await setTimeout(pause)
    await broker.killServer()
    counts.serverKills++
  }
}

/** Resolves when the last event is acknowledged. */
async function post(bus: Bus, file: AskedFile, options: CrashloopOptions, counts: Counts): Promise<void> {
  const random = new Random(options.seed)
  const begin = performance.now()
  const isOver = () => performance.now() - begin > options.ms
  const noMore = new AbortController()
  const posted: Promise<void>[] = []
  let fanOuts = 0
  while (!isOver()) {
    const isFanOut = options.fanOutEveryMs > 0 && performance.now() - begin > fanOuts * options.fanOutEveryMs
    if (isFanOut) fanOuts++
    posted.push(launch(bus, file, plan(random, counts.jobs++, isFanOut ? 'fan-out' : undefined), noMore.signal))
    await setTimeout(Math.max(0, begin + (counts.jobs * 1_000) / options.jobsPerSecond - performance.now()))
  }
  // What was to come later comes now.
  noMore.abort()
  await Promise.all(posted)
}

async function launch(bus: Bus, file: AskedFile, { job, start, others }: Plan, hurry: AbortSignal): Promise<void> {
  file.write({ kind: 'job', ...job })
  const at = async (event: Event, afterMs: number) => {
    if (afterMs > 0) await setTimeout(afterMs, undefined, { signal: hurry }).catch(() => {})
    await untilStored(() => bus.publish(event))
    file.write({ kind: 'accepted', id: event.id })
  }
  const before = others.filter(({ afterMs }) => afterMs < 0)
  for (const { event } of before) await at(event, 0)
  await at(start, 0)
  await Promise.all(others.filter(other => !before.includes(other)).map(({ event, afterMs }) => at(event, afterMs)))
}
