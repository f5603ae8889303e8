import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Broker, startBroker } from './broker.ts'
import { committed, endOf, readAll, topicId, uncommitted } from './log.ts'
import { connect, record, Session } from './txn.ts'

/*
 * Is a commit (turn, events of several partitions, offset of the input) one transaction? What do readers see of it, and
 * what of one that is aborted, or whose client or broker is killed in the middle? `node bench/spikes/kafka/commit.ts`
 */

const at = (sorted: number[], q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!
const ms = (value: number) => `${value.toFixed(1)} ms`

const turnAndEvents = (i: number) => [
  record('journal', 0, String(i)),
  record('events', 0, String(i)),
  record('events', 1, String(i)),
  record('mail', 0, String(i)),
]
const input = (i: number) => [{ topic: 'mail', partition: 0, offset: BigInt(i) }]

async function atomic(broker: Broker): Promise<void> {
  const session = await Session.open({ bootstrap: broker.bootstrap, id: 'group-0' })
  const watcher = await connect(broker.bootstrap)
  const follow = async (topic: string, partition: number) => {
    const id = await topicId(broker, topic)
    const seen = new Set<string>()
    let from = 0n
    return {
      seen,
      async read() {
        const page = await readAll(watcher, id, partition, from)
        from = page.next
        for (const { value } of page.lines) seen.add(value)
      },
    }
  }
  const [turns, events] = [await follow('journal', 0), await follow('events', 1)]
  let [running, polls, halves] = [true, 0, 0]
  const watch = (async () => {
    while (running) {
      // What is read second may be ahead; only what is read first and is missing in the second shows half a commit.
      const [first, second] = polls++ % 2 === 0 ? [turns, events] : [events, turns]
      await first.read()
      await second.read()
      if (first.seen.difference(second.seen).size > 0) halves++
      await sleep(0)
    }
  })()
  const lags: number[] = []
  for (let i = 1; i <= 300; i++) {
    await session.send(turnAndEvents(i))
    await session.offsets('group', input(i))
    await session.end(i % 5 !== 0)
    if (i % 5 === 0) continue
    const began = performance.now()
    const written = await endOf(session.connection, 'journal', 0, uncommitted)
    while ((await endOf(session.connection, 'journal', 0, committed)) < written) await sleep(0)
    lags.push(performance.now() - began)
  }
  await sleep(200)
  running = false
  await watch
  const groups = await broker.admin.listConsumerGroupOffsets({ groups: ['group'] })
  const same = turns.seen.symmetricDifference(events.seen).size === 0
  lags.sort((a, b) => a - b)
  console.log(`300 transactions, 60 of them aborted: ${turns.seen.size} turns seen, the same set of events: ${same}`)
  console.log(
    `committed offset ${groups[0]!.topics[0]!.partitions[0]!.committedOffset} (299 is the last committed one)`,
  )
  console.log(`${polls} polls of two partitions: ${halves} saw one half of a commit and not yet the other`)
  console.log(`acknowledged commit becomes visible after p50 ${ms(at(lags, 0.5))}, max ${ms(lags.at(-1)!)}`)
  await session.close()
  await watcher.close()
}

/** Opens a transaction, says so, and hangs until it is killed. */
async function victim(bootstrap: string, id: string, timeout: number): Promise<never> {
  const session = await Session.open({ bootstrap, id, timeout })
  await session.send(turnAndEvents(-1))
  await session.offsets('group', input(999))
  console.log('open')
  for (;;) await sleep(1_000)
}

async function killed(broker: Broker, timeout: number, takeOver: boolean): Promise<void> {
  const id = `victim-${timeout}`
  const args = [import.meta.filename, broker.bootstrap, id, String(timeout)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const began = performance.now()
  const reader = await connect(broker.bootstrap)
  const journal = await topicId(broker, 'journal')
  const other = await Session.open({ bootstrap: broker.bootstrap, id: 'somebody-else' })
  await other.commit([record('journal', 0, 'foreign')])
  const held = (await endOf(reader, 'journal', 0, committed)) < (await endOf(reader, 'journal', 0, uncommitted))
  if (takeOver) await (await Session.open({ bootstrap: broker.bootstrap, id })).close()
  const asked = performance.now() - began
  while ((await endOf(reader, 'journal', 0, committed)) < (await endOf(reader, 'journal', 0, uncommitted)))
    await sleep(20)
  const waited = performance.now() - began
  const { lines } = await readAll(reader, journal, 0)
  const leaked = lines.filter(({ value }) => value === '-1').length
  console.log(
    `client killed, timeout ${timeout} ms, ${takeOver ? `taken over at ${ms(asked)}` : 'nobody takes over'}: ` +
      `foreign commit held back: ${held}, free after ${ms(waited)}, records of the dead seen: ${leaked}`,
  )
  await other.close()
  await reader.close()
}

async function brokerKilled(broker: Broker, rounds: number): Promise<void> {
  const [acknowledged, unknown] = [new Set<string>(), new Set<string>()]
  let next = 1_000
  const open = () =>
    Promise.all([0, 1, 2, 3].map(shard => Session.open({ bootstrap: broker.bootstrap, id: `group-${shard}` })))
  for (let round = 0; round < rounds; round++) {
    let down = false
    const writers = (await open()).map(async session => {
      while (!down) {
        const i = next++
        const patience = sleep(3_000).then(() => Promise.reject(new Error('no answer')))
        await Promise.race([session.commit(turnAndEvents(i), 'group', input(i)), patience]).then(
          () => acknowledged.add(String(i)),
          () => unknown.add(String(i)),
        )
      }
    })
    await sleep(700 + Math.random() * 700)
    down = true
    await broker.crash()
    await Promise.all(writers)
    for (const session of await open()) await session.close()
    const reader = await connect(broker.bootstrap)
    const high = await endOf(reader, 'journal', 0, uncommitted)
    const began = performance.now()
    while ((await endOf(reader, 'journal', 0, committed)) < high && performance.now() - began < 30_000) await sleep(5)
    const stable = await endOf(reader, 'journal', 0, committed)
    await reader.close()
    if (stable >= high) continue
    console.log(
      `kill ${round + 1}: all shards taken over, yet the journal is stable up to ${stable} of ${high} after 30 s`,
    )
    console.log(
      broker
        .log()
        .match(/.*transaction markers.*skip.*/g)
        ?.at(-1) ?? 'the broker logs nothing about it',
    )
    break
  }
  const reader = await connect(broker.bootstrap)
  const read = async (topic: string, partition: number) =>
    new Set((await readAll(reader, await topicId(broker, topic), partition)).lines.map(({ value }) => value))
  const journal = (await read('journal', 0)).difference(new Set(['foreign']))
  const others = [await read('events', 0), await read('events', 1), await read('mail', 0)]
  const partial = others.reduce((sum, set) => sum + set.symmetricDifference(journal).size, 0)
  const lost = [...acknowledged].filter(i => !journal.has(i))
  const kept = [...unknown].filter(i => journal.has(i)).length
  console.log(
    `broker killed up to ${rounds} times: ${acknowledged.size} acknowledged, lost ${lost.length}, partly stored ${partial}; ` +
      `${unknown.size} without an answer, ${kept} of them committed`,
  )
  await reader.close()
}

const [, , bootstrap, id, timeout] = process.argv
if (bootstrap !== undefined) await victim(bootstrap, id!, Number(timeout))
await using broker = await startBroker()
for (const topic of ['journal', 'mail']) await broker.topic(topic)
await broker.topic('events', 4)
await atomic(broker)
await killed(broker, 2_000, false)
await killed(broker, 10_000, false)
await killed(broker, 60_000, true)
await brokerKilled(broker, Number(process.env.KILLS ?? 6))
