import { type Broker, startBroker } from './broker.ts'
import { readAll, topicId } from './log.ts'
import { codeOf, connect, record, Session } from './txn.ts'

/*
 * Settlement of single deliveries over offsets: a contiguous low-water mark is committed, what is done above it goes into
 * the commit metadata. What fits, what is handed out again after a crash? `node bench/spikes/kafka/settle.ts`
 */

/** The done offsets above `low`, as a bitmap in base64: bit i is offset low + 1 + i. */
function encode(low: number, done: ReadonlySet<number>): string {
  const top = Math.max(low, ...done)
  const bits = Buffer.alloc(Math.ceil((top - low) / 8))
  for (const offset of done) {
    const bit = offset - low - 1
    bits[bit >> 3] = bits[bit >> 3]! | (1 << (bit & 7))
  }
  return bits.toString('base64url')
}

function decode(low: number, metadata: string): Set<number> {
  const bits = Buffer.from(metadata, 'base64url')
  const done = new Set<number>()
  for (let bit = 0; bit < bits.length * 8; bit++) if ((bits[bit >> 3]! >> (bit & 7)) & 1) done.add(low + 1 + bit)
  return done
}

/** Runs of done offsets, each as distance and length: for few long runs shorter than the bitmap. */
function encodeRuns(low: number, done: ReadonlySet<number>): string {
  const runs: [number, number][] = []
  for (const offset of [...done].toSorted((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last && last[0] + last[1] === offset) last[1]++
    else runs.push([offset, 1])
  }
  let at = low
  return runs
    .map(([start, length]) => {
      const text = `${(start - at).toString(36)}.${length.toString(36)}`
      at = start + length
      return text
    })
    .join(',')
}

async function limit(broker: Broker): Promise<void> {
  const session = await Session.open({ bootstrap: broker.bootstrap, id: 'limit' })
  for (const length of [4_096, 4_097]) {
    await session.send([record('turns', 0, 'x')])
    const answer = await session
      .offsets('limit', [{ topic: 'inbox', partition: 0, offset: 1n, metadata: 'x'.repeat(length) }])
      .then(
        () => 'accepted',
        (error: unknown) => codeOf(error),
      )
    console.log(`commit metadata of ${length} characters: ${answer}`)
    const ended = await session.end(answer === 'accepted').then(
      () => 'fine',
      (error: unknown) => codeOf(error),
    )
    console.log(`  ending that transaction: ${ended}`)
  }
  await session.close()
}

/** How far ahead of a stuck delivery the others may run before the metadata is full. */
function room(): void {
  const shapes: Record<string, (offset: number) => boolean> = {
    'all but the first done': offset => offset > 0,
    'every second done': offset => offset % 2 === 1,
    'nine of ten done, at random': offset => offset > 0 && Math.random() < 0.9,
  }
  for (const [shape, isDone] of Object.entries(shapes)) {
    const found: string[] = []
    for (const [name, write] of Object.entries({ bitmap: encode, runs: encodeRuns })) {
      let [window, fits] = [64, 0]
      const done = new Set<number>()
      for (let offset = 0; ; offset++) {
        if (isDone(offset)) done.add(offset)
        if (offset < window) continue
        if (write(-1, done).length > 4_096 || window > 1_000_000) break
        fits = window
        window = Math.ceil(window * 1.01)
      }
      found.push(`${name} ${window > 1_000_000 ? 'no limit met' : `about ${fits}`}`)
    }
    console.log(`offsets that 4096 characters cover, ${shape}: ${found.join(', ')}`)
  }
}

/** Works on a partition with many in flight, finishing in random order; dies; another one goes on from the commit. */
async function crash(broker: Broker, inFlight: number): Promise<void> {
  const topic = `inbox-${inFlight}`
  await broker.topic(topic)
  const feeder = await Session.open({ bootstrap: broker.bootstrap, id: 'feeder' })
  // Each transaction leaves a marker at an offset of its own, so deliverable offsets have gaps.
  for (let i = 0; i < 100; i++)
    await feeder.commit(Array.from({ length: 10 }, (_, j) => record(topic, 0, String(i * 10 + j))))
  await feeder.close()
  const reader = await connect(broker.bootstrap)
  const { lines, next } = await readAll(reader, await topicId(broker, topic), 0)
  const deliverable = lines.map(({ offset }) => Number(offset))

  const session = await Session.open({ bootstrap: broker.bootstrap, id: `worker-${topic}` })
  const done = new Set<number>()
  let [taken, low, largest] = [0, -1, 0]
  const held: number[] = []
  while (done.size < 700) {
    while (held.length < inFlight && taken < deliverable.length) held.push(deliverable[taken++]!)
    // The first stays in hand to the end: a slow call. The others finish in random order.
    const [settled] = held.splice(1 + Math.floor(Math.random() * (held.length - 1)), 1)
    done.add(settled!)
    const position = deliverable.findIndex(offset => !done.has(offset))
    low = deliverable[position]! - 1
    const metadata = encode(low, new Set([...done].filter(offset => offset > low)))
    largest = Math.max(largest, metadata.length)
    if (done.size % 10 !== 0) continue
    await session.send([record('turns', 0, String(settled))])
    await session.offsets(topic, [{ topic, partition: 0, offset: BigInt(low + 1), metadata }])
    await session.end(true)
  }
  await session.close()

  const [group] = await broker.admin.listConsumerGroupOffsets({ groups: [topic], requireStable: true })
  const found = group!.topics[0]!.partitions[0]!
  const above = decode(Number(found.committedOffset) - 1, found.metadata ?? '')
  const begun = deliverable.slice(0, taken)
  const again = begun.filter(offset => offset >= Number(found.committedOffset) && !above.has(offset))
  const naive = begun.filter(offset => offset >= Number(found.committedOffset))
  console.log(
    `${inFlight} in flight, 700 of ${lines.length} done (${next} offsets): low-water mark ${found.committedOffset}, ` +
      `metadata at most ${largest} characters`,
  )
  console.log(
    `  handed out again after the crash: ${again.length} (in hand: ${held.length}); by the low-water mark alone: ${naive.length}`,
  )
  await reader.close()
}

/** What the metadata costs, commits of offsets alone in a closed loop. */
async function cost(broker: Broker): Promise<void> {
  for (const length of [0, 512, 4_096]) {
    const session = await Session.open({ bootstrap: broker.bootstrap, id: 'cost', protocol: 1 })
    let commits = 0
    const began = performance.now()
    while (performance.now() - began < 2_000) {
      await session.send([record('turns', 0, 'x'.repeat(450))])
      await session.offsets('cost', [
        { topic: 'inbox', partition: 0, offset: BigInt(++commits), metadata: 'x'.repeat(length) },
      ])
      await session.end(true)
    }
    console.log(`one at a time with ${length} characters of metadata: ${Math.round(commits / 2)} commits/s`)
    await session.close()
  }
}

await using broker = await startBroker()
for (const topic of ['inbox', 'turns']) await broker.topic(topic)
await limit(broker)
room()
await crash(broker, 16)
await crash(broker, 200)
await cost(broker)
