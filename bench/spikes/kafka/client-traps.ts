import { setTimeout as sleep } from 'node:timers/promises'
import { Consumer, MessagesStreamModes, Producer } from '@platformatic/kafka'
import { type Broker, startBroker } from './broker.ts'
import { committed, endOf, readAll, topicId, uncommitted } from './log.ts'
import { codeOf, connect, record, Session } from './txn.ts'

/*
 * What the client's own Producer and Consumer do that a driver must know. Each line says what a naive use would get.
 * `node bench/spikes/kafka/client-traps.ts`
 */

const outcome = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error: unknown) => codeOf(error),
  )

const producer = (broker: Broker, transactionalId: string, options: object = {}) =>
  new Producer({
    clientId: 'traps',
    bootstrapBrokers: [broker.bootstrap],
    transactionalId,
    idempotent: true,
    producerId: -1n,
    producerEpoch: -1,
    retries: 20,
    retryDelay: 5,
    ...options,
  })

const one = async (owner: Producer, value: string) => {
  const transaction = await owner.beginTransaction()
  await transaction.send({ messages: [record('journal', 0, value)] })
  await transaction.commit()
}

/** Every value that a consumer of the client hands out from the beginning of the topic. */
async function consumed(broker: Broker, topic: string, maxBytes?: number): Promise<string[]> {
  const consumer = new Consumer({ clientId: 'traps', bootstrapBrokers: [broker.bootstrap], groupId: `read-${topic}` })
  const stream = await consumer.consume({
    topics: [topic],
    mode: MessagesStreamModes.EARLIEST,
    autocommit: false,
    maxWaitTime: 100,
    ...(maxBytes === undefined ? {} : { maxBytes, maxBytesPerPartition: maxBytes }),
  })
  const values: string[] = []
  stream.on('data', message => values.push(message.value.toString()))
  await sleep(2_500)
  await consumer.close(true)
  return values
}

async function firstEpoch(broker: Broker): Promise<void> {
  for (const options of [{}, { producerId: 0n, producerEpoch: 0 }]) {
    const id = 'producerId' in options ? 'zero' : 'next-epoch'
    const [old, next] = [producer(broker, id, options), producer(broker, id, options)]
    const results = [await outcome(one(old, 'a')), await outcome(one(next, 'b')), await outcome(one(old, 'c'))]
    const which = 'producerId' in options ? 'default (0/0)' : '-1/-1'
    console.log(`init with ${which}: first owner ${results[0]}, next owner ${results[1]}, first again ${results[2]}`)
    await Promise.all([old.close(true), next.close(true)])
  }
}

/** Requests of one kind that overlap are taken for repetitions of one another. */
async function overlapping(broker: Broker): Promise<void> {
  const owner = producer(broker, 'overlap')
  const transaction = await owner.beginTransaction()
  const sends = [0, 1, 2].map(partition =>
    outcome(transaction.send({ messages: [record('events', partition, 'overlapping')] })),
  )
  console.log(`three sends at once to three partitions: ${(await Promise.all(sends)).join(', ')}`)
  console.log(`the commit after them: ${await outcome(transaction.commit())}`)
  const reader = await connect(broker.bootstrap)
  const events = await topicId(broker, 'events')
  const stored = []
  for (const partition of [0, 1, 2]) stored.push((await readAll(reader, events, partition)).lines.length)
  console.log(`stored in the three partitions: ${stored.join(', ')}`)
  await reader.close()
  await owner.close(true)
}

async function overlappingOffsets(broker: Broker): Promise<void> {
  await one(producer(broker, 'feed'), 'input')
  const owner = producer(broker, 'offsets')
  for (const partition of [0, 1]) await owner.send({ messages: [record('inbox', partition, 'input')] })
  const consumer = new Consumer({ clientId: 'traps', bootstrapBrokers: [broker.bootstrap], groupId: 'offsets' })
  const stream = await consumer.consume({ topics: ['inbox'], mode: MessagesStreamModes.EARLIEST, autocommit: false })
  const messages = []
  for await (const message of stream) if (messages.push(message) === 2) break
  const transaction = await owner.beginTransaction()
  await transaction.addConsumer(consumer)
  await Promise.all(messages.map(message => transaction.addOffset(message)))
  await transaction.send({ messages: [record('journal', 0, 'turn')] })
  await transaction.commit()
  await sleep(300)
  const [group] = await broker.admin.listConsumerGroupOffsets({ groups: ['offsets'] })
  const stored = group!.topics.flatMap(({ partitions }) => partitions).map(partition => partition.partitionIndex)
  console.log(`two addOffset at once, of partitions 0 and 1; committed: partition ${stored.join(' and ')}`)
  await consumer.close(true)
  await owner.close(true)
}

async function abortedLeak(broker: Broker): Promise<void> {
  const session = await Session.open({ bootstrap: broker.bootstrap, id: 'aborts', protocol: 1 })
  for (const [value, keep] of [
    ['aborted 1', false],
    ['committed', true],
    ['aborted 2', false],
  ] as const) {
    await session.send([record('aborts', 0, value)])
    await session.end(keep)
  }
  // One aborted transaction that does not fit into one fetch.
  for (let i = 0; i < 50; i++) await session.send([record('large', 0, `aborted ${'x'.repeat(10_000)}`)])
  await session.end(false)
  await sleep(300)
  console.log(
    `read committed, two aborts of one producer: the client hands out [${(await consumed(broker, 'aborts')).join(', ')}]`,
  )
  const large = await consumed(broker, 'large', 64_000)
  console.log(`read committed, one large abort over several fetches: ${large.length} of 50 aborted records handed out`)
  const reader = await connect(broker.bootstrap)
  const ours = [
    await readAll(reader, await topicId(broker, 'aborts'), 0),
    await readAll(reader, await topicId(broker, 'large'), 0),
  ]
  console.log(
    `with the filter in log.ts: [${ours[0]!.lines.map(({ value }) => value).join(', ')}], ${ours[1]!.lines.length} of 50`,
  )
  await Promise.all([session.close(), reader.close()])
}

/** The client's `timeout` is the transaction timeout too; its default retry delay is a second. */
async function pauses(broker: Broker): Promise<void> {
  for (const retryDelay of [1_000, 5]) {
    const owner = producer(broker, `pauses-${retryDelay}`, { retryDelay })
    await one(owner, 'first')
    const began = performance.now()
    for (let i = 0; i < 5; i++) await one(owner, 'next')
    console.log(
      `five commits in a row with a retry delay of ${retryDelay} ms: ${(performance.now() - began).toFixed(0)} ms`,
    )
    await owner.close(true)
  }
}

async function emptyCommit(broker: Broker): Promise<void> {
  const session = await Session.open({ bootstrap: broker.bootstrap, id: 'empty' })
  console.log(`commit of an empty transaction: ${await outcome(session.end(true))}`)
  const held =
    (await endOf(session.connection, 'journal', 0, uncommitted)) -
    (await endOf(session.connection, 'journal', 0, committed))
  console.log(`journal behind by ${held}`)
  await session.close()
}

await using broker = await startBroker()
for (const topic of ['journal', 'aborts', 'large']) await broker.topic(topic)
for (const topic of ['inbox', 'events']) await broker.topic(topic, 4)
await firstEpoch(broker)
await overlapping(broker)
await overlappingOffsets(broker)
await abortedLeak(broker)
await pauses(broker)
await emptyCommit(broker)
