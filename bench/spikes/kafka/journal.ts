import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Broker, startBroker } from './broker.ts'
import { committed, endOf, fetchPage, topicId, uncommitted } from './log.ts'
import { connect, record, Session } from './txn.ts'

/*
 * A task's journal through a local index that its partition feeds: how long until a new owner has built it, and how fresh
 * must it be? `node bench/spikes/kafka/journal.ts [TURNS]`
 */

const turns = Number(process.argv[2] ?? 100_000)
const perTask = 10
const text = 'x'.repeat(450)

async function fill(broker: Broker): Promise<void> {
  const session = await Session.open({ bootstrap: broker.bootstrap, id: 'filler' })
  const began = performance.now()
  for (let i = 0; i < turns; i += 200) {
    const batch = Array.from({ length: 200 }, (_, j) => {
      const n = i + j
      return record(
        'journal',
        0,
        `{"v":${Math.floor(n / (turns / perTask)) + 1},"d":"${text}"}`,
        `task-${n % (turns / perTask)}`,
      )
    })
    await session.commit(batch)
  }
  await session.close()
  console.log(`${turns} turns of about 470 B, 200 to a transaction, written in ${seconds(began)}`)
}

const seconds = (began: number) => `${((performance.now() - began) / 1_000).toFixed(2)} s`

async function rebuild(broker: Broker, kind: string, sink: Sink, bytes: number): Promise<void> {
  const journal = await topicId(broker, 'journal')
  const connection = await connect(broker.bootstrap)
  const end = await endOf(connection, 'journal', 0, committed)
  const began = performance.now()
  let from = 0n
  let count = 0
  while (from < end) {
    const page = await fetchPage(connection, journal, 0, from, { bytes })
    sink.add(page.lines)
    count += page.lines.length
    from = page.next
  }
  sink.end()
  console.log(`index as ${kind}: ${count} turns, ${end} offsets in ${seconds(began)}`)
  await connection.close()
}

interface Sink {
  add(lines: readonly { key: string; value: string; offset: bigint }[]): void
  end(): void
}

function map(): Sink & { tasks: Map<string, number[]> } {
  const tasks = new Map<string, number[]>()
  return {
    tasks,
    add(lines) {
      for (const { key, offset } of lines) {
        const offsets = tasks.get(key)
        if (offsets) offsets.push(Number(offset))
        else tasks.set(key, [Number(offset)])
      }
    },
    end() {},
  }
}

function sqlite(file: string, withText: boolean): Sink & { db: DatabaseSync } {
  const db = new DatabaseSync(file)
  db.exec('pragma journal_mode = wal; pragma synchronous = off')
  db.exec('create table turn (task text, at integer, json text, primary key (task, at)) without rowid, strict')
  const insert = db.prepare('insert into turn values (?, ?, ?)')
  return {
    db,
    add(lines) {
      db.exec('begin')
      for (const { key, offset, value } of lines) insert.run(key, Number(offset), withText ? value : null)
      db.exec('commit')
    },
    end() {},
  }
}

async function readTasks(broker: Broker, tasks: Map<string, number[]>, db: DatabaseSync): Promise<void> {
  const journal = await topicId(broker, 'journal')
  const connection = await connect(broker.bootstrap)
  const samples: Record<string, number[]> = { broker: [], file: [] }
  const all = [...tasks.keys()]
  const select = db.prepare('select json from turn where task = ? order by at')
  for (let i = 0; i < 100; i++) {
    const task = all[Math.floor(Math.random() * all.length)]!
    let began = performance.now()
    for (const offset of tasks.get(task)!) {
      const { lines } = await fetchPage(connection, journal, 0, BigInt(offset), { bytes: 1 })
      if (lines[0]!.key !== task) throw new Error('another task')
    }
    samples.broker!.push(performance.now() - began)
    began = performance.now()
    if (select.all(task).length !== perTask) throw new Error('turns are missing')
    samples.file!.push(performance.now() - began)
  }
  for (const [kind, times] of Object.entries(samples)) {
    times.sort((a, b) => a - b)
    console.log(
      `journal of ${perTask} turns from the ${kind}: p50 ${times[50]!.toFixed(2)} ms, p99 ${times[98]!.toFixed(2)} ms`,
    )
  }
  await connection.close()
}

/** Right after a take-over: what an own topic promises, and what a topic shared with other producers does not. */
async function freshness(broker: Broker): Promise<void> {
  const old = await Session.open({ bootstrap: broker.bootstrap, id: 'owner' })
  for (let i = 0; i < 20; i++) await old.commit([record('journal', 0, 'committed')])
  await old.send([record('journal', 0, 'left open')])
  const before = await endOf(old.connection, 'journal', 0, committed)
  const next = await Session.open({ bootstrap: broker.bootstrap, id: 'owner' })
  const high = await endOf(next.connection, 'journal', 0, uncommitted)
  const stable = await endOf(next.connection, 'journal', 0, committed)
  console.log(`own journal: stable offset ${before} before the take-over, ${stable} right after it; end ${high}`)

  const foreign = await Session.open({ bootstrap: broker.bootstrap, id: 'foreign' })
  await foreign.send([record('journal', 0, 'foreign, open')])
  await next.commit([record('journal', 0, 'mine, acknowledged')])
  const third = await Session.open({ bootstrap: broker.bootstrap, id: 'owner' })
  const behind =
    (await endOf(third.connection, 'journal', 0, uncommitted)) -
    (await endOf(third.connection, 'journal', 0, committed))
  console.log(`a topic that others write in transactions too: ${behind} offsets behind after the take-over`)
  await foreign.end(false)
  await Promise.all([old, next, third, foreign].map(session => session.close()))
}

const files = ['offsets', 'text'].map(name => join(tmpdir(), `kafka-spike-index-${process.pid}-${name}`))
await using broker = await startBroker()
await broker.topic('journal')
await fill(broker)
const index = map()
await rebuild(broker, 'a Map of offsets, fetches of 1 MiB', map(), 1 << 20)
await rebuild(broker, 'a Map of offsets, fetches of 8 MiB', index, 8 << 20)
const [offsets, withText] = [sqlite(files[0]!, false), sqlite(files[1]!, true)]
await rebuild(broker, 'node:sqlite, offsets only', offsets, 8 << 20)
await rebuild(broker, 'node:sqlite, with the text', withText, 8 << 20)
await readTasks(broker, index.tasks, withText.db)
await freshness(broker)
for (const { db } of [offsets, withText]) db.close()
for (const file of files) for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
