import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import first from '../../../examples/first/app.ts'
import { start } from '../../../src/index.ts'
import { startKafkaCluster } from '../../../src/testing/kafka/cluster.ts'
import { collect, until } from '../../../src/testing/wait.ts'

/*
 * An app on three brokers (three copies, min ISR 2), each of which is killed once while questions arrive, and started again.
 * Is each question answered, and once? `node bench/spikes/kafka/one-of-three.ts [QUESTIONS]`
 */

const questions = Number(process.argv[2] ?? 60)
await using cluster = await startKafkaCluster(3)
const home = await mkdtemp(join(tmpdir(), 'kafka-one-of-three-'))
const running = await start(first, {
  bus: `kafka://${cluster.bootstrap}/three?partitions=4&replicas=3&timeout=60000`,
  only: ['agents', 'tools', 'models'],
  home,
})
const asked: string[] = []
const waits: number[] = []
const kill = async () => {
  for (const node of cluster.nodes) {
    await sleep(2_000)
    await node.kill()
    console.log(`broker ${node.id} killed after ${asked.length} questions`)
    await sleep(4_000)
    await node.restart()
    await cluster.ready()
  }
}
let isKilling = true
const killing = kill().finally(() => (isKilling = false))
while (isKilling || asked.length < questions) {
  const began = performance.now()
  const { correlationid } = await running.bus.publish({
    type: 'question.asked',
    data: { text: 'When is the shop open on Sunday?' },
  })
  waits.push(performance.now() - began)
  asked.push(correlationid)
  await sleep(100)
}
await killing
const answers = async () => {
  const found = await Promise.all(asked.map(correlation => collect(running.bus.read({ correlation }))))
  return found.map(stored => stored.filter(({ event }) => event.type === 'question.answered').length)
}
const began = performance.now()
const counts = await until(
  async () => {
    const found = await answers()
    return found.every(count => count > 0) && found
  },
  { within: 300_000, what: 'every question to be answered' },
)
console.log(
  `${asked.length} questions, ${counts.filter(count => count === 1).length} answered once, ${counts.filter(count => count > 1).length} more than once; ` +
    `the last ones ${Math.round(performance.now() - began)} ms after the last was asked; a publish waited at most ${Math.round(Math.max(...waits))} ms`,
)
await running.stop()
await rm(home, { recursive: true })
