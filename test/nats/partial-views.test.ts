import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseAddress } from '../../src/drivers/nats/address.ts'
import { openConnection } from '../../src/drivers/nats/connect.ts'
import type { NatsLog } from '../../src/drivers/nats/nats-log.ts'
import { provision } from '../../src/drivers/nats/provision.ts'
import { announceChange } from '../../src/drivers/nats/task-checkpoint.ts'
import { newTask, turn } from '../../src/testing/conformance/entries.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { group, owner, type Owner } from './lib/owner.ts'

/*
 * The real state machines of the owners of a shard, on a real server. Each of their requests waits for a scheduler, which fast-check
 * drives and replays: take-over, reading, journals, commits and checkpoints in any order, and any of them may be the last that
 * its worker does. The model is the newest accepted turn of each task.
 */

const tasks = 3

const act = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('commit' as const), who: fc.nat(1), task: fc.nat(tasks - 1), wake: fc.option(fc.integer({ min: 1, max: 9 }), { nil: null }), end: fc.integer({ min: 0, max: 7 }).map(n => n === 0) }) }, // biome-ignore format: one record
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('journal' as const), who: fc.nat(1), task: fc.nat(tasks - 1) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('read' as const, 'save' as const), who: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), who: fc.constant(0) }) },
)
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

describeNats('partial views of a shard', () => {
  it('take no wake-up from a task, and give none, in whatever order they come', { timeout: 60_000 }, async () => {
    const lines = fc.array(fc.array(act, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 5 })
    await fc.assert(fc.asyncProperty(fc.scheduler(), lines, run), { numRuns: 200, interruptAfterTimeLimit: 20_000 })
  })
})

async function run(scheduler: fc.Scheduler, lines: readonly Act[][]): Promise<void> {
  const connection = await openConnection(parseAddress(`${natsUrl()}/v${randomUUID()}`), 10_000)
  try {
    const log = await provision(connection, { shards: 1, replicas: 1 })
    const ids = Array.from({ length: tasks }, () => newTask())
    const known = new Map<string, Known>()
    const step = (what: string) => scheduler.schedule(Promise.resolve(), what)
    const workers = [owner(connection, log, { step }), owner(connection, log, { step, completeFrom: Infinity })]
    const scene: Scene = { workers, ids, known, log, taken: false }
    const before = owner(connection, log)
    for (const task of ids) {
      await before.turns.commit(turn(task, 0, { wake: 5 }), () => false)
      known.set(task, { version: 1, wake: 5, end: false })
    }
    const takeOver: Act[] = [
      { kind: 'read', who: 1 },
      { kind: 'save', who: 1 },
    ]
    const lived = [takeOver, ...lines].map(async line => {
      for (const each of line) {
        const worker = scene.workers[each.who]!
        if (worker.dead) continue
        // What a worker does when it is killed comes to no end.
        await perform(each, scene).catch((error: unknown) => {
          if (!worker.dead) throw error
        })
      }
    })
    await scheduler.waitFor(Promise.all(lived))
    // The next owner, which finds what is on the server.
    const next = owner(connection, log)
    await next.owned.read(next.turns)
    const wakes = new Map([...next.owned.live].map(([task, { wake }]) => [task, wake]))
    const expected = [...known].filter(([, { end }]) => !end)
    expect(wakes).toEqual(new Map(expected.map(([task, { wake }]) => [task, wake])))
    for (const { name } of [...log.partitions, log.state, log.blobs]) await connection.api(`STREAM.DELETE.${name}`)
  } finally {
    await connection.close()
  }
}

interface Known {
  readonly version: number
  readonly wake: number | null
  readonly end: boolean
}

interface Scene {
  readonly workers: readonly Owner[]
  readonly ids: readonly string[]
  readonly known: Map<string, Known>
  readonly log: NatsLog
  /** The second worker owns the shard by now. */
  taken: boolean
}

async function perform(act: Act, scene: Scene): Promise<void> {
  if (act.who === 1) scene.taken = true
  const worker = scene.workers[act.who]!
  const { owned, turns } = worker
  const isOwner = () => act.who === 1 || !scene.taken
  if (act.kind === 'kill') worker.dead = true
  if (act.kind === 'read') await owned.read(turns)
  if (act.kind === 'save' && isOwner()) await owned.save(true)
  if (act.kind === 'journal' || act.kind === 'commit') {
    const task = scene.ids[act.task]!
    const view = owned.openView()
    try {
      if (act.kind === 'journal') {
        const { newest } = await turns.journal(task, turn => owned.repairOf(turn))
        if (newest && isOwner()) owned.turnStored(task, newest, view)
        return
      }
      const { version = 0, end = false } = scene.known.get(task) ?? {}
      if (end) return
      const decided = turn(task, version, { wake: act.wake, end: act.end })
      const accepted = await turns.commit(decided, () => worker.dead)
      if (!accepted) return
      scene.known.set(task, { version: version + 1, wake: act.wake, end: act.end })
      if (worker.dead) return
      if (isOwner()) owned.turnStored(task, accepted, view)
      else await announceChange(worker.log, { group, shard: 0, seq: accepted.seq, task })
    } finally {
      owned.closeView(view)
    }
  }
}
