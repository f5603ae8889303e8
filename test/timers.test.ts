import { randomUUID } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, headers } from '@nats-io/transport-node'
import { expect, it, onTestFinished } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import { Bus } from '../src/bus/bus.ts'
import type { Driver } from '../src/bus/driver.ts'
import { correlationOf, shardOf, taskId, turnId } from '../src/bus/ids.ts'
import { listDeliveriesAndWakes } from '../src/trace/attention/list.ts'
import { openNats } from '../src/drivers/nats/index.ts'
import { openSqlite } from '../src/drivers/sqlite/index.ts'
import { hour, newTask, turn } from '../src/testing/conformance/entries.ts'
import { digest } from '../src/tasks/turn.ts'
import { collect, until } from '../src/testing/wait.ts'
import { describeNats, natsUrl } from './lib/nats.ts'
import { ended, onEveryBus } from './lib/world.ts'

/* Timers that something has lost, and wake-ups that find a worker whose view of the task is old. */

/** Opens a log, and later what makes it forget the wake-ups of its tasks, as a faulty version did. */
interface Faulty {
  open(): Promise<Driver>
  forget(tasks: readonly string[]): Promise<void>
}

const worker = {
  group: 'tasks',
  mode: 'sharded',
  filter: [{ types: ['task.input'] }],
  maxInFlight: 8,
  from: 'now',
  onDelivery() {},
} as const

/** Of the turn that a task decides: what it says of its wake-up stands in the event as well. */
const waiting = (task: string, expect: number, wake: number | null) => {
  const { turn: entry, ...commit } = turn(task, expect, { wake })
  const event = { ...entry.event, data: { wake } }
  return { ...commit, turn: { event, json: JSON.stringify(event) } }
}

function heals(name: string, faulty: () => Promise<Faulty>): void {
  it(`${name}: a wake-up that the log has lost is on the attention list, and the next worker sets it`, async () => {
    const log = await faulty()
    const first = await log.open()
    const consumer = await first.subscribe(worker)
    const [lost, later, kept, ending] = [newTask(), newTask(), newTask(), newTask()]
    const due = Date.now() - 1_000
    const far = Date.now() + hour
    await first.commit(waiting(lost, 0, far))
    await first.commit(waiting(lost, 1, due))
    await first.commit(waiting(later, 0, far))
    await first.commit(waiting(kept, 0, null))
    await first.commit(waiting(ending, 0, due))
    await first.commit({ ...waiting(ending, 1, null), end: true })
    await consumer.close()
    expect(await collect(first.missedWakes(0))).toEqual([])
    await first.close()
    await log.forget([lost, later])

    const second = await log.open()
    const named = (await collect(listDeliveriesAndWakes(new Bus(second)))).filter(({ kind }) => kind === 'unarmed')
    expect(new Set(named)).toEqual(
      new Set([
        { kind: 'unarmed', group: 'tasks', task: lost, due },
        { kind: 'unarmed', group: 'tasks', task: later, due: far },
      ]),
    )
    const woken: string[] = []
    await second.subscribe({ ...worker, onWake: task => woken.push(task) })
    await until(() => woken.includes(lost), { within: 15_000 })
    await until(async () => (await collect(second.missedWakes(0))).length === 0, { within: 15_000 })
    expect((await collect(second.missedWakes(far + 1))).map(({ task }) => task).toSorted()).toEqual(
      [lost, later].toSorted(),
    )
    expect(woken.filter(task => task !== lost)).toEqual([])
  })
}

heals('on sqlite', async () => {
  const home = await mkdtemp(join(tmpdir(), 'tidings-test-'))
  onTestFinished(() => rm(home, { recursive: true }))
  return {
    open: () => closing(openSqlite({ home })),
    async forget(tasks) {
      const db = new DatabaseSync(join(home, 'log.db'))
      for (const task of tasks) db.prepare('UPDATE live SET wake = NULL WHERE task = ?').run(task)
      db.close()
    },
  }
})

describeNats('on a server', () => {
  heals('on nats', async () => {
    const name = `timers-${randomUUID()}`
    const url = natsUrl()
    return {
      open: () => closing(openNats({ url: `${url}/${name}`, shards: 4, leaseMs: 2_000 })),
      async forget(tasks) {
        for (const task of tasks) await asAnOldVersion(url, name, task)
      },
    }
  })
})

/** The newest turn once more, as a version wrote it that left a wake-up as it was, and a checkpoint that says that there is none. */
async function asAnOldVersion(url: string, name: string, task: string): Promise<void> {
  const nc = await connect({ servers: url.replace('nats://', '') })
  const shard = shardOf(correlationOf(task), 4)
  const subject = `${name}.t.${shard}.${task}`
  const newest = await nc.request(`$JS.API.DIRECT.GET.${name}`, JSON.stringify({ last_by_subj: subject }))
  const version = Number(newest.headers!.get('Tidings-Version'))
  const about = headers()
  const fields = { Group: 'tasks', Version: `${version + 1}`, By: randomUUID() }
  for (const [header, value] of Object.entries(fields)) about.set(`Tidings-${header}`, value)
  const event = { ...(JSON.parse(newest.string()) as object), id: turnId(task, version + 1) }
  const stored = await nc.request(subject, JSON.stringify(event), { headers: about, timeout: 5_000 })
  const { seq } = stored.json<{ seq: number }>()
  const place = `${name}.s.checkpoint.tasks.${shard}`
  const known = await nc.request(
    `$JS.API.DIRECT.GET.${name}_state`,
    JSON.stringify({ last_by_subj: `${place}.${seq}.0` }),
  )
  const rows = known.headers?.code === 404 ? [] : known.json<unknown[]>()
  await nc.request(`${place}.${seq}.0`, JSON.stringify([...rows, [task, 1, null, seq]]))
  await nc.request(place, JSON.stringify({ at: seq, rows: rows.length + 1 }))
  await nc.close()
}

async function closing(opening: Promise<Driver>): Promise<Driver> {
  const driver = await opening
  onTestFinished(() => driver.close())
  return driver
}

onEveryBus(world => {
  it('a worker that does not expect a wake-up reads the journal', async () => {
    const sleeper = agent('sleeper', {
      on: 'sleep.wanted',
      async run(ctx) {
        await ctx.sleep('1h')
        await ctx.sleep('1s')
        return 'slept'
      },
    })
    const log = await world()
    const running = await log.worker({ use: [sleeper] })
    const { correlationid, id } = await running.bus.publish({ type: 'sleep.wanted', data: null })
    const task = taskId(correlationid, 'sleeper', id)
    const { driver } = running.bus
    await until(async () => (await driver.journal(task)).records.length > 0)
    // Another worker, which was taken for dead, decides the next turn: the first timer has fired.
    const { records } = await driver.journal(task)
    const set = records.find(({ type }) => type === 'timer.set')!
    const now = Date.now()
    const due = now + 1_000
    const fired = {
      ...set,
      id: `${set.id}:fired`,
      type: 'timer.fired',
      call: set.id,
      data: { due: new Date(now).toISOString() },
    }
    const next = { ...set, id: `${turnId(task, 2)}:0`, data: { due: new Date(due).toISOString() } }
    const { data, ...rest } = records.find(({ type }) => type === 'task.turn')!
    const decided = { ...(data as object), version: 2, at: now, inputs: [fired], wake: due }
    const emits = [
      {
        id: next.id,
        type: 'timer.set',
        hash: digest(next.data),
        wait: { key: 'sleep#1', target: 'timer', until: due },
      },
    ]
    const record = { ...rest, id: turnId(task, 2), data: { ...decided, emits } }
    const entry = (event: typeof set) => ({ event, json: JSON.stringify(event) })
    const result = await driver.commit({
      group: (await driver.listGroups()).find(({ mode }) => mode === 'sharded')!.group,
      task,
      expect: 1,
      turn: entry(record),
      events: [entry(next), entry(fired)],
      settle: [],
      wake: due,
    })
    expect(result).toBe('accepted')
    expect((await ended(running, correlationid, id, 15_000)).data).toMatchObject({ output: 'slept' })
  })
})
