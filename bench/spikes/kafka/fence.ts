import { setTimeout as sleep } from 'node:timers/promises'
import { Producer } from '@platformatic/kafka'
import { type Broker, startBroker } from './broker.ts'
import { committed, endOf, readAll, topicId, uncommitted } from './log.ts'
import { codeOf, connect, record, Session } from './txn.ts'

/*
 * Does the next owner of a `transactional.id` fence the one before, with which code, and what does that not fence?
 * `node bench/spikes/kafka/fence.ts [ROUNDS]`
 */

const outcome = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error: unknown) => codeOf(error),
  )

/** What each request of a fenced owner is answered, with and without a transaction open at the moment of the fence. */
async function zombie(broker: Broker, protocol: 1 | 2): Promise<void> {
  const attempts: Record<string, (session: Session) => Promise<unknown>> = {
    'first send': session => session.send([record('journal', 0, 'zombie')]),
    offsets: session => session.offsets('group', [{ topic: 'journal', partition: 0, offset: 1n }]),
    'commit of an open one': session => session.end(true),
  }
  for (const [name, attempt] of Object.entries(attempts)) {
    const options = { bootstrap: broker.bootstrap, id: `zombie-${protocol}-${name.replaceAll(' ', '-')}`, protocol }
    const old = await Session.open(options)
    if (name !== 'first send') await old.send([record('journal', 0, 'zombie')])
    const next = await Session.open(options)
    console.log(`protocol ${protocol}, ${name}: ${await outcome(attempt(old))}`)
    await next.commit([record('journal', 0, 'next')])
    console.log(`protocol ${protocol}, ${name}, once more: ${await outcome(old.end(true))}`)
    await Promise.all([old.close(), next.close()])
  }
}

/** The same through the client's own Transaction. */
async function zombieOfClient(broker: Broker): Promise<void> {
  const owner = () =>
    new Producer({
      clientId: 'owner',
      bootstrapBrokers: [broker.bootstrap],
      transactionalId: 'client-zombie',
      idempotent: true,
      producerId: -1n,
      producerEpoch: -1,
      retries: 3,
      retryDelay: 5,
    })
  const [old, next] = [owner(), owner()]
  const messages = [record('journal', 0, 'zombie')]
  const open = await old.beginTransaction()
  await open.send({ messages })
  const sendOne = async (producer: Producer) => {
    const transaction = await producer.beginTransaction()
    await transaction.send({ messages: [record('journal', 0, 'one')] })
    await transaction.commit()
  }
  await sendOne(next)
  console.log(`client, send in the open transaction: ${await outcome(open.send({ messages }))}`)
  console.log(`client, commit of it: ${await outcome(open.commit())}`)
  console.log(`client, is the old producer free for a new transaction: ${old.transaction === undefined}`)
  const again = await outcome(sendOne(old))
  console.log(`client, beginning again with the same object: ${again}`)
  await Promise.all([old.close(true), next.close(true)])
}

/** Both believe the shard is theirs, take it, read the head and decide the next version, as closely as they can. */
async function race(broker: Broker, rounds: number, protocol: 1 | 2): Promise<void> {
  const topic = `race-${protocol}`
  await broker.topic(topic)
  const journal = await topicId(broker, topic)
  const codes = new Map<string, number>()
  let [stable, behind, accepted] = [0, 0, 0]
  const owners = await Promise.all(
    ['a', 'b'].map(async name => {
      const session = await Session.open({ bootstrap: broker.bootstrap, id: `race-${protocol}`, protocol })
      const head = { version: 0, next: 0n }
      const decide = async () => {
        await session.init()
        const high = await endOf(session.connection, topic, 0, uncommitted)
        const end = await endOf(session.connection, topic, 0, committed)
        if (end >= high) stable++
        else behind++
        const page = await readAll(session.connection, journal, 0, head.next)
        head.next = page.next
        for (const { value } of page.lines) head.version = Number(value.split(' ')[0])
        await session.commit([record(topic, 0, `${head.version + 1} ${name}`)])
      }
      return { decide, close: () => session.close() }
    }),
  )
  for (let round = 0; round < rounds; round++) {
    const results = await Promise.all(
      owners.map(async ({ decide }, i) => {
        await sleep((i === round % 2 ? 0 : 1) * Math.random() * 12)
        return outcome(decide())
      }),
    )
    accepted += results.filter(result => result === 'accepted').length
    const key = results.toSorted().join(' / ')
    codes.set(key, (codes.get(key) ?? 0) + 1)
  }
  const reader = await connect(broker.bootstrap)
  while ((await endOf(reader, topic, 0, committed)) < (await endOf(reader, topic, 0, uncommitted))) await sleep(5)
  const { lines } = await readAll(reader, journal, 0)
  const versions = lines.map(({ value }) => Number(value.split(' ')[0]))
  const chain = versions.every((version, i) => version === i + 1)
  console.log(
    `protocol ${protocol}, ${rounds} races: ${accepted} accepted, ${versions.length} turns, one chain of versions: ${chain}`,
  )
  console.log(`  the last stable offset was the end after a take-over: ${stable} times, behind it: ${behind} times`)
  for (const [key, count] of codes) console.log(`  ${count} × ${key}`)
  await Promise.all([...owners.map(owner => owner.close()), reader.close()])
}

async function notFenced(broker: Broker): Promise<void> {
  await broker.topic('same-epoch')
  const session = await Session.open({ bootstrap: broker.bootstrap, id: 'same-epoch' })
  const twice = ['1 a', '1 b'].map(value => [record('same-epoch', 0, value)])
  const results = []
  for (const turn of twice) results.push(await outcome(session.commit(turn)))
  console.log(`the same version twice within one epoch: ${results.join(', ')}`)

  await session.send([record('same-epoch', 0, '2 a')])
  const position = [{ topic: 'same-epoch', partition: 0, offset: 1n }]
  const stale = await outcome(session.offsets('group', position, { memberId: 'gone', generation: 7 }))
  console.log(`offsets with a membership that is over: ${stale}`)
  console.log(`offsets without naming a membership: ${await outcome(session.offsets('group', position))}`)
  await session.end(false)

  const stranger = await Session.open({ bootstrap: broker.bootstrap, id: 'another-id' })
  console.log(`another transactional id on the same journal: ${await outcome(stranger.commit(twice[0]!))}`)
  await Promise.all([session.close(), stranger.close()])
}

const rounds = Number(process.argv[2] ?? 200)
await using broker = await startBroker()
await broker.topic('journal')
await zombie(broker, 1)
await zombie(broker, 2)
await zombieOfClient(broker)
await race(broker, rounds, 1)
await race(broker, rounds, 2)
await notFenced(broker)
