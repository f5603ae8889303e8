import { fork, type ChildProcess } from 'node:child_process'
import { randomUUIDv7 } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Bus } from '../../src/bus/bus.ts'
import type { Broker } from './broker.ts'
import { type Control, openLog } from './log.ts'
import { evidenceOf, type Evidence } from './evidence.ts'
import { isClean, verify, type Verdict } from './verify.ts'

export interface KillOptions {
  tasks: number
  /** Number of `kill -9` of random workers. */
  kills: number
  /** Number of workers that are stopped until their lease has ended, and continue as zombies. */
  stops: number
  workers: number
  control?: Control
  /** Used in place of the embedded log. */
  broker?: Broker
  /** Number of `kill -9` of a server of the broker, each followed by a restart. */
  serverKills?: number
  /** The test stops waiting for tasks after this time without progress. */
  patienceMs: number
  onProgress?(text: string): void
}

export interface KillReport extends Verdict {
  seconds: number
  killed: number
  evidence?: Evidence
}

/** The agent's task, and the instance of the workflow. */
const endsOfOne = 2

/** Starts workers on one log, feeds them tasks, kills them at random moments, waits for the rest, and reads the log. */
export async function killTest(options: KillOptions): Promise<KillReport> {
  const home = await mkdtemp(join(tmpdir(), 'tidings-kills-'))
  const { control = 'none', broker, serverKills = 0 } = options
  const log = broker?.address(`kills-${randomUUIDv7()}`) ?? home
  const bus = new Bus(await openLog(log))
  const workers: ChildProcess[] = []
  const begin = performance.now()
  let killed = 0
  try {
    for (let i = 0; i < options.workers; i++) workers.push(await spawnWorker(home, log, control))
    const expected = new Map<string, number>()
    const done = countCompletions(bus)
    const disturbances = options.kills + options.stops + serverKills
    const feeding = (async () => {
      for (let i = 0; i < options.tasks; i++) {
        const correlationid = randomUUIDv7()
        expected.set(correlationid, i)
        await bus.publish({ type: 'kill.started', correlationid, data: { n: i } })
        // Spreads the tasks over the whole time of the kills.
        const paced = () => killed < disturbances && i > (options.tasks * (killed + 1)) / disturbances
        // Without a guarantee, tasks may hang permanently, and must not hold up the others.
        const crowded = () => i + 1 - done.count / endsOfOne > 200 && performance.now() - done.at < options.patienceMs
        while (crowded() || paced()) await setTimeout(2)
      }
    })()
    for (; killed < disturbances; killed++) {
      await setTimeout(Math.random() * 120)
      const victim = Math.floor(Math.random() * workers.length)
      if (serverKills > 0 && killed % Math.ceil(disturbances / serverKills) === 2) {
        await broker!.killServer()
      } else if (killed % Math.ceil(disturbances / Math.max(1, options.stops)) === 1 && options.stops > 0)
        await stopBeyondLease(workers[victim]!)
      else {
        workers[victim]!.kill('SIGKILL')
        workers[victim] = await spawnWorker(home, log, control)
      }
      options.onProgress?.(
        `${killed + 1} of ${disturbances} disturbances, ${done.count} of ${endsOfOne * options.tasks} tasks`,
      )
    }
    await feeding
    await settled(done, options)
    done.stop()
    const verdict = await verify(bus, home, expected)
    const evidence = isClean(verdict) ? undefined : await evidenceOf(bus, verdict)
    return { ...verdict, ...(evidence && { evidence }), seconds: (performance.now() - begin) / 1_000, killed }
  } finally {
    for (const worker of workers) worker.kill('SIGKILL')
    await bus.driver.close()
    await rm(home, { recursive: true, force: true })
  }
}

async function spawnWorker(home: string, log: string, control: Control): Promise<ChildProcess> {
  const worker = fork(join(import.meta.dirname, 'worker.ts'), [home, log, control], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('exit', code => reject(new Error(`the worker ended with ${code} before it was ready`)))
  })
  return worker
}

/** The worker sleeps through the end of its lease and continues as if it still owned its shards. */
async function stopBeyondLease(worker: ChildProcess): Promise<void> {
  worker.kill('SIGSTOP')
  await setTimeout(3_000)
  worker.kill('SIGCONT')
}

function countCompletions(bus: Bus) {
  const abort = new AbortController()
  const counter = { count: 0, at: performance.now(), stop: () => abort.abort() }
  void (async () => {
    const ends = bus.follow('0', [{ types: ['agent.task.completed', 'agent.task.failed'] }], abort.signal)
    for await (const _ of ends) {
      counter.count++
      counter.at = performance.now()
    }
  })()
  return counter
}

async function settled(done: { count: number }, { tasks, patienceMs, onProgress }: KillOptions): Promise<void> {
  let last = done.count
  let since = performance.now()
  while (done.count < endsOfOne * tasks && performance.now() - since < patienceMs) {
    await setTimeout(50)
    if (done.count === last) continue
    last = done.count
    since = performance.now()
    onProgress?.(`${last} of ${endsOfOne * tasks} tasks`)
  }
}
