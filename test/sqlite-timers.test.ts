import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { expect, it, onTestFinished, vi } from 'vitest'
import { toRow } from '../src/drivers/sqlite/consumer-registry.ts'
import type { WriterOp, WriterReply } from '../src/drivers/sqlite/protocol.ts'
import { logFile, type LogIdentity, prepareHome } from '../src/drivers/sqlite/schema.ts'
import { prepareSql } from '../src/bus/sql.ts'
import { CommitFailures } from '../src/testing/sqlite/commit-failures.ts'
import { FaultyWriter } from '../src/testing/sqlite/faulty-writer.ts'
import { newTask, turn } from '../src/testing/conformance/entries.ts'
import { TestClock } from '../src/testing/clock.ts'

/*
 * The writers of several processes on one embedded log, each with its own connection. fast-check chooses the next transaction and
 * when time passes. The model is the newest accepted turn of each task. At the end a living worker must wake every task that waits
 * for a time.
 */

const leaseMs = 3_000
const heartbeatMs = leaseMs / 3
const group = 'tasks'
const tasks = 3

const process = fc.nat(2)
const task = fc.nat(tasks - 1)
const act = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      process,
      task,
      /** It has read the journal just before. */
      knows: fc.boolean(),
      wake: fc.option(fc.integer({ min: -2_000, max: 9_000 }), { nil: null }),
      end: fc.integer({ min: 0, max: 7 }).map(n => n === 0),
      /** Whether its process is killed before or after the commit. */
      dies: fc.constantFrom('no', 'no', 'no', 'no', 'before', 'after'),
      fails: fc.integer({ min: 0, max: 5 }).map(n => n === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('journal' as const), process, task }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('turn of the loop' as const), process }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 4_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('kill' as const, 'close' as const), process }) },
)
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

let monotonic = 0

it('no order of lease changes, turns, failed commits and kills loses the wake-up of a task', {
  timeout: 60_000,
}, async () => {
  const empty = await folder()
  onTestFinished(() => rm(empty, { recursive: true }))
  const identity = prepareHome(empty, 2)
  vi.spyOn(performance, 'now').mockImplementation(() => monotonic)
  onTestFinished(() => void vi.restoreAllMocks())
  const run = async (acts: readonly Act[]) => {
    const home = await folder()
    await cp(empty, home, { recursive: true })
    const scene = new Scene(home, identity)
    try {
      for (const each of acts) scene.perform(each)
      expect(wakesOn(home)).toEqual(scene.waiting)
      scene.settle()
      expect(wakesOn(home)).toEqual(new Map())
    } finally {
      for (const worker of scene.workers) worker.end()
      await rm(home, { recursive: true })
    }
  }
  const acts = fc.array(act, { minLength: 4, maxLength: 40 })
  await fc.assert(fc.asyncProperty(acts, run), { numRuns: 300, interruptAfterTimeLimit: 10_000 })
})

/** The index by which workers wake tasks. */
function wakesOn(home: string): Map<string, number> {
  const db = new DatabaseSync(logFile(home), { readOnly: true })
  const rows = prepareSql<{ task: string; wake: number }>(
    db,
    'SELECT task, wake FROM live WHERE wake IS NOT NULL',
  ).all()
  db.close()
  return new Map(rows.map(({ task, wake }) => [task, wake]))
}

const folder = () => mkdtemp(join(tmpdir(), 'tidings-timers-'))

interface Known {
  version: number
  wake: number | null
  end: boolean
}

class Scene {
  readonly clock = new TestClock()
  readonly workers: Worker[]
  readonly ids = Array.from({ length: tasks }, () => newTask())
  readonly model = new Map<string, Known>(this.ids.map(id => [id, { version: 0, wake: null, end: false }]))
  readonly #home: string
  readonly #identity: LogIdentity

  constructor(home: string, identity: LogIdentity) {
    this.#home = home
    this.#identity = identity
    this.workers = [this.#join(), this.#join(), this.#join()]
  }

  perform(act: Act): void {
    if (act.kind === 'time') return this.#advance(act.ms)
    const worker = this.workers[act.process]!
    if (act.kind === 'turn of the loop') return worker.step()
    if (act.kind === 'journal') return worker.read(this.ids[act.task]!, this.model)
    if (act.kind !== 'commit') {
      if (act.kind === 'close') worker.close()
      else worker.end()
      this.workers[act.process] = this.#join()
      return
    }
    const { dies, fails, end } = act
    const id = this.ids[act.task]!
    if (act.knows) worker.read(id, this.model)
    const expect = worker.versions.get(id) ?? 0
    const wake = act.wake === null || end ? null : this.clock.now() + act.wake
    worker.failsNext = fails
    const result = dies === 'before' ? undefined : worker.commit(id, expect, wake, end)
    if (result !== undefined) this.#checkDecision(id, expect, { version: expect + 1, wake, end }, result)
    if (result) worker.versions.set(id, expect + 1)
    if (dies !== 'no') this.perform({ kind: 'kill', process: act.process })
  }

  /** The times for which tasks wait. */
  get waiting(): Map<string, number> {
    const waiting = new Map<string, number>()
    for (const [id, { wake, end }] of this.model) if (!end && wake !== null) waiting.set(id, wake)
    return waiting
  }

  /** Lets time pass, and answers each wake-up with a turn that waits no longer. */
  settle(): void {
    // No task has answered a wake-up so far.
    for (const worker of this.workers) worker.woken()
    for (let passed = 0; this.waiting.size > 0 && passed < 180_000; passed += heartbeatMs / 2) {
      this.#advance(heartbeatMs / 2)
      for (const worker of this.workers) {
        worker.step()
        for (const id of worker.woken()) {
          if ((this.waiting.get(id) ?? Infinity) > this.clock.now()) continue
          const { version } = this.model.get(id)!
          const accepted = worker.commit(id, version, null, false)
          expect(accepted).not.toBe(false)
          if (accepted) this.model.set(id, { version: version + 1, wake: null, end: false })
        }
      }
    }
    expect(this.waiting).toEqual(new Map())
  }

  /** The newest turn alone decides whether a turn is accepted. */
  #checkDecision(id: string, seen: number, next: Known, accepted: boolean): void {
    const { version, end } = this.model.get(id)!
    expect(accepted).toBe(version === seen && !end)
    if (accepted) this.model.set(id, next)
  }

  #advance(ms: number): void {
    monotonic += ms
    this.clock.advance(ms)
  }

  #join(): Worker {
    return new Worker(this.#home, this.#identity, this.clock)
  }
}

/** A process as its log sees it: what the writer thread does, in steps. */
class Worker {
  readonly versions = new Map<string, number>()
  readonly #writer: FaultyWriter
  readonly #failures = new CommitFailures()
  #woken = new Set<string>()
  #heartbeatAt = monotonic
  #hasEnded = false
  /** Its last transaction was lost; it retries on its own. */
  #hasFailed = false

  constructor(home: string, identity: LogIdentity, clock: TestClock) {
    const options = { home, ...identity, leaseMs, synchronous: 'off', clock: clock.offset } as const
    this.#writer = new FaultyWriter(options, { commits: this.#failures.cells })
    const filter = [{ types: ['task.input'] }]
    const wanted = { group, mode: 'sharded', filter, maxInFlight: 8, limit: null, from: 'now' } as const
    this.#transact({ kind: 'subscribe', consumer: 1, ...wanted })
  }

  /** The next transaction that writes fails at its COMMIT. */
  set failsNext(fails: boolean) {
    if (fails) this.#failures.fail(1)
  }

  /** Undefined when the transaction was lost. */
  commit(task: string, expect: number, wake: number | null, end: boolean): boolean | undefined {
    const events = [toRow(turn(task, expect).turn)]
    const op = { kind: 'commit', group, task, expect, wake, snapshot: undefined, end, settlements: [], events } as const
    return this.#transact(op)?.results[0] as boolean | undefined
  }

  /** It reads the journal of a task. */
  read(task: string, model: ReadonlyMap<string, Known>): void {
    this.versions.set(task, model.get(task)!.version)
  }

  /** One round of its event loop: the heartbeat, what others wrote, the alarm. */
  step(): void {
    const isLate = monotonic >= this.#heartbeatAt + heartbeatMs
    if (isLate) this.#heartbeatAt = monotonic
    if (isLate || this.#writer.hasExpiredMembers()) this.#writer.requestHeartbeat()
    if (isLate || this.#hasFailed || this.#writer.store.isStale || this.#writer.isDue) this.#transact()
    while (this.#writer.hasMore) this.#transact()
  }

  /** The tasks that it woke since the last call. */
  woken(): Set<string> {
    const woken = this.#woken
    this.#woken = new Set()
    return woken
  }

  close(): void {
    if (this.#transact({ kind: 'close' })) this.end()
  }

  /** Ends like a killed process, without releasing anything. */
  end(): void {
    if (!this.#hasEnded) this.#writer.store.close()
    this.#hasEnded = true
  }

  #transact(...ops: WriterOp[]): WriterReply | undefined {
    try {
      const { reply } = this.#writer.transact(ops)
      for (const { task } of reply.wakes) this.#woken.add(task)
      this.#hasFailed = false
      return reply
    } catch (error) {
      if (!String(error).includes('injected')) throw error
      this.#writer.recover(ops)
      this.#writer.requestHeartbeat()
      this.#hasFailed = true
      return undefined
    }
  }
}
