import { availableParallelism } from 'node:os'
import { initProducerIdV5, type MessageRecord, NumericMap, produceV11 } from '@platformatic/kafka'
import { type Broker, startBroker, version } from './broker.ts'
import { connect, record, Session } from './txn.ts'

/*
 * Commits per second and latency. One commit is a turn and two events of 450 B, and the offset of the input; one
 * transactional producer per shard, so the transactions of a shard come one after another.
 * `node bench/spikes/kafka/figures.ts [SECONDS]`
 */

const seconds = Number(process.argv[2] ?? 2)
const text = 'x'.repeat(400)
const mostInOne = 256

interface Writer {
  write(records: MessageRecord[], inputs: number): Promise<unknown>
  readonly concurrent: number
  close(): Promise<void>
}

type Make = (broker: Broker, shard: number) => Promise<Writer>

const transactional =
  (protocol: 1 | 2): Make =>
  async (broker, shard) => {
    const session = await Session.open({ bootstrap: broker.bootstrap, id: `figures-${shard}`, protocol })
    let offset = 0
    return {
      async write(records, inputs) {
        offset += inputs
        await session.commit(records, 'figures', [{ topic: 'inbox', partition: shard, offset: BigInt(offset) }])
      },
      get concurrent() {
        return session.concurrent
      },
      close: () => session.close(),
    }
  }

/** The same records in one idempotent request, acks=all, without a transaction and without the offset. */
const idempotent: Make = async broker => {
  const connection = await connect(broker.bootstrap)
  const owner = await initProducerIdV5.api.async(connection, null, 10_000, -1n, -1)
  const sequences = new NumericMap()
  return {
    concurrent: 0,
    async write(records) {
      const options = { ...owner, sequences: new NumericMap(sequences) }
      await produceV11.api.async(connection, -1, 10_000, records, options)
      for (const { topic, partition } of records) sequences.postIncrement(`${topic}:${partition}`, 1, 0)
    },
    close: () => connection.close(),
  }
}

/** Commits of one shard wait in a queue; the writer takes one, or all that wait. */
function shardOf(writer: Writer, most: number) {
  const queue: { records: MessageRecord[]; resolve: () => void }[] = []
  let busy = false
  const work = async () => {
    if (busy) return
    busy = true
    while (queue.length > 0) {
      const taken = queue.splice(0, most)
      await writer.write(
        taken.flatMap(({ records }) => records),
        taken.length,
      )
      for (const { resolve } of taken) resolve()
    }
    busy = false
  }
  return (records: MessageRecord[]) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    queue.push({ records, resolve })
    void work()
    return promise
  }
}

async function run(broker: Broker, make: Make, shards: number, committers: number, most: number): Promise<string> {
  const writers = await Promise.all(Array.from({ length: shards }, (_, shard) => make(broker, shard)))
  const commits = writers.map(writer => shardOf(writer, most))
  const latencies: number[] = []
  const warm = performance.now() + 700
  const end = warm + seconds * 1_000
  const committer = async (i: number) => {
    const shard = i % shards
    for (let n = 0; performance.now() < end; n++) {
      const began = performance.now()
      await commits[shard]!([
        record('journal', shard, `${i} ${n} ${text}`),
        record('events', (i + n) % 16, text),
        record('events', (i + n + 5) % 16, text),
      ])
      const now = performance.now()
      if (now >= warm && now <= end) latencies.push(now - began)
    }
  }
  await Promise.all(Array.from({ length: committers }, (_, i) => committer(i)))
  const waits = writers.reduce((sum, writer) => sum + writer.concurrent, 0)
  await Promise.all(writers.map(writer => writer.close()))
  latencies.sort((a, b) => a - b)
  const at = (q: number) => latencies[Math.floor((latencies.length - 1) * q)]?.toFixed(1) ?? '–'
  return `${Math.round(latencies.length / seconds)} (${at(0.5)}, ${at(0.99)})${waits > 0 ? ` w${waits}` : ''}`
}

async function table(broker: Broker, rows: [string, Make, number, number][]): Promise<void> {
  console.log('| commits/s (p50, p99 ms) | 1 | 32 | 200 |\n|---|---|---|---|')
  for (const [name, make, shards, most] of rows) {
    const cells = []
    for (const committers of [1, 32, 200]) {
      cells.push(await run(broker, make, shards, committers, most))
    }
    console.log(
      `| ${name}, ${shards} shard${shards > 1 ? 's' : ''}${most > 1 ? ', batched' : ''} | ${cells.join(' | ')} |`,
    )
  }
}

const rows = (makes: [string, Make][], shapes: [number, number][]): [string, Make, number, number][] =>
  makes.flatMap(([name, make]) =>
    shapes.map(([shards, most]): [string, Make, number, number] => [name, make, shards, most]),
  )

async function measure(title: string, settings: Record<string, string>, which: [string, Make, number, number][]) {
  await using broker = await startBroker(settings)
  for (const topic of ['journal', 'events', 'inbox']) await broker.topic(topic, 16)
  console.log(`\nKafka ${version}, one broker, acks=all, ${title}; ${availableParallelism()} cores`)
  // The first seconds of a JVM are slower; nothing of them is counted.
  for (let i = 0; i < 2; i++) await run(broker, transactional(1), 16, 64, mostInOne)
  await table(broker, which)
}

const all: [string, Make][] = [
  ['transaction, protocol 2', transactional(2)],
  ['transaction, protocol 1', transactional(1)],
  ['idempotent, no transaction', idempotent],
]
const shapes: [number, number][] = [
  [1, 1],
  [1, mostInOne],
  [16, 1],
  [16, mostInOne],
]
await measure('never synced explicitly (the default)', {}, rows(all, shapes))
await measure(
  'asking again after 1 ms, not 20, whether the transaction before is finished',
  { 'add.partitions.to.txn.retry.backoff.ms': '1', 'add.partitions.to.txn.retry.backoff.max.ms': '20' },
  rows(all.slice(0, 1), shapes),
)
await measure('synced at every message', { 'log.flush.interval.messages': '1' }, rows(all, [shapes[0]!, shapes[3]!]))
