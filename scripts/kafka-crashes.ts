/**
 * Kills Kafka brokers under transactions and says what became of commits that were acknowledged: decision 0043.
 *
 *   npm run kafka-crashes -- --version 4.4.0 --servers 3 --kill all --kills 10
 *
 * `--kill`: `all` brokers at once, `one` of them, or `two`. `--no-repair` leaves out what the driver does about markers that are missing.
 */
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeTransactionsV0 } from '@platformatic/kafka'
import { KafkaCluster } from '../src/drivers/kafka/cluster.ts'
import { LogFollower } from '../src/drivers/kafka/follower.ts'
import { openIndexFile } from '../src/drivers/kafka/index-file.ts'
import { openPartitions } from '../src/drivers/kafka/marker-repair.ts'
import { parseKafkaAddress } from '../src/drivers/kafka/address.ts'
import { stateRecord } from '../src/drivers/kafka/records.ts'
import { provisionTopics } from '../src/drivers/kafka/topics.ts'
import { TransactionalProducer } from '../src/drivers/kafka/transactional-producer.ts'
import { startKafkaCluster } from '../src/testing/kafka/cluster.ts'
import { findKafka } from '../src/testing/kafka/find.ts'
import { until } from '../src/testing/wait.ts'

const { values } = parseArgs({
  options: {
    version: { type: 'string' },
    servers: { type: 'string', default: '1' },
    kill: { type: 'string', default: 'all' },
    kills: { type: 'string', default: '10' },
    sync: { type: 'boolean', default: false },
    repair: { type: 'boolean', default: true },
  },
  allowNegative: true,
})
const [size, kills] = [Number(values.servers), Number(values.kills)]
const partitions = 4
/** Producers that write at once: the more, the more commits are half done when a broker dies. */
const producers = 16

const server = await findKafka({ onDownload: console.log, ...(values.version && { version: values.version }) })
if ('reason' in server) throw new Error(server.reason)
await using brokers = await startKafkaCluster(size, { server, syncAlways: values.sync })
const address = parseKafkaAddress(
  `kafka://${brokers.bootstrap}/crash?partitions=${partitions}&replicas=${size}&timeout=60000`,
)
const setUp = new KafkaCluster(address)
const topics = await provisionTopics(setUp, performance.now() + 60_000)
await setUp.close()

const acknowledged = new Set<number>()
const unanswered = new Set<number>()
let next = 0

/** The keys of a commit: it is whole if all of them are there. */
const keysOf = (commit: number) => [0, 1, 2].map(i => `commit/${commit}/${i}`)

async function write(number: number, isDown: () => boolean): Promise<void> {
  const cluster = new KafkaCluster({ ...address, timeoutMs: 20_000 })
  cluster.topics.push(topics.names.events, topics.names.state)
  const producer = new TransactionalProducer(cluster, `crash.${number}`)
  try {
    await producer.init()
    while (!isDown()) {
      const commit = next++
      const records = keysOf(commit).map((key, i) => stateRecord(topics.names, (number + i) % partitions, key, 'x'))
      await producer.commit({ records }).then(
        () => acknowledged.add(commit),
        () => unanswered.add(commit),
      )
      if (producer.isEnded) break
    }
  } catch {
    // A broker was killed meanwhile.
  } finally {
    await cluster.close()
  }
}

/** Partitions in which a transaction is open although its coordinator says that it has ended. */
async function stuck(cluster: KafkaCluster): Promise<string[]> {
  const found: string[] = []
  for (let number = 0; number < producers; number++) {
    const id = `crash.${number}`
    const receiver = { coordinator: 'transaction', key: id } as const
    const { transactionStates } = await cluster.ask(describeTransactionsV0.api, receiver, [[id]], {
      isRepeatable: true,
    })
    const { producerId, transactionState: state } = transactionStates[0]!
    if (!state.startsWith('Complete')) continue
    const open = await openPartitions(cluster, producerId, 'look')
    if (open.length > 0) found.push(`${id} ${state}: ${open.map(({ partition }) => partition).join(',')}`)
  }
  return found
}

/** What readers see once all owners have taken over. */
async function examine(): Promise<string | undefined> {
  const cluster = new KafkaCluster({ ...address, timeoutMs: 30_000 })
  cluster.topics.push(topics.names.events, topics.names.state)
  const file = openIndexFile(undefined, topics)
  const follower = new LogFollower(cluster, topics.names, file.index)
  try {
    follower.start()
    await follower.freshen()
    const kept = (commit: number) => keysOf(commit).filter(key => file.index.state(key)).length
    const lost = [...acknowledged].filter(commit => kept(commit) === 0)
    const partial = [...acknowledged, ...unanswered].filter(commit => kept(commit) === 1 || kept(commit) === 2)
    if (lost.length + partial.length === 0) return undefined
    return `lost ${lost.join(' ') || 'none'}; partly stored ${partial.join(' ') || 'none'}`
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await follower.close()
    file.close()
    await cluster.close()
  }
}

let [hits, faults] = [0, 0]
for (let round = 1; round <= kills && faults === 0; round++) {
  let isDown = false
  const writers = Array.from({ length: producers }, (_, number) => write(number, () => isDown))
  const begin = acknowledged.size
  await until(() => acknowledged.size > begin + 100, { within: 120_000, what: '100 commits' })
  await sleep(Math.random() * 300)
  const count = { all: size, two: Math.min(2, size), one: 1 }[values.kill] ?? size
  const victims = brokers.nodes.toSorted(() => Math.random() - 0.5).slice(0, count)
  await Promise.all(victims.map(node => node.kill()))
  isDown = true
  await Promise.all(writers)
  await Promise.all(victims.map(node => node.restart()))
  await brokers.ready()
  const cluster = new KafkaCluster(address)
  cluster.topics.push(topics.names.events, topics.names.state)
  try {
    const open = await until(
      async () => {
        const before = await stuck(cluster)
        await sleep(1_500)
        const after = await stuck(cluster)
        return { list: before.filter(each => after.includes(each)) }
      },
      { within: 120_000, what: 'the brokers to answer' },
    )
    if (open.list.length > 0) hits++
    console.log(
      `kill ${round} of ${victims.map(({ id }) => id).join(' and ')}: ${acknowledged.size} acknowledged; without a marker: ${open.list.join(', ') || 'none'}`,
    )
    for (let number = 0; number < producers; number++) {
      const producer = new TransactionalProducer(cluster, `crash.${number}`)
      await producer.init(values.repair)
      await producer.close()
    }
  } finally {
    await cluster.close()
  }
  const fault = await examine()
  if (fault === undefined) continue
  faults++
  console.log(`FAULT after kill ${round}: ${fault}`)
}
console.log(
  `Kafka ${server.version}, ${size} ${size === 1 ? 'broker' : 'brokers'}, min.insync.replicas ${Math.max(1, size - 1)}, ${values.sync ? 'synced' : 'not synced'}, ${values.kill} killed: ` +
    `${acknowledged.size} acknowledged, ${unanswered.size} without an answer; markers were missing after ${hits} kills; ${faults === 0 ? 'nothing lost, nothing stuck' : 'FAULT'}`,
)
process.exitCode = faults === 0 ? 0 : 1
