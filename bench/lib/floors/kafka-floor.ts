import { Admin } from '@platformatic/kafka'
import { randomUUIDv7 } from 'node:crypto'
import { fork } from 'node:child_process'
import { stopChild } from '../host.ts'
import type { Floor } from './floor.ts'
import { consumeBatches, eventsOf, floorProducer, lastOfEach, readFloorEvent, recordOf, stateOf } from './kafka-wire.ts'
import { eventOf, type FloorEvent } from './wire.ts'

/*
 * The cost of a task that is written by hand with the raw client of Kafka: the agent in this process, the tools in a second one. Each step of
 * the agent is in a transaction: its stored state, the next event and the offset of the input; inputs that wait share a transaction.
 * The tools publish their answers and commit their offsets after it.
 */

const payload = { q: 'x'.repeat(292) }
const partitions = 8

export async function startKafkaFloor(bootstrap: string): Promise<Floor> {
  const name = `floor-${randomUUIDv7()}`
  const admin = new Admin({ clientId: 'floor', bootstrapBrokers: [bootstrap], retries: 50, retryDelay: 100 })
  await admin.createTopics({ topics: [eventsOf(name), stateOf(name)], partitions, replicas: 1 })
  await new Promise(resolve => setTimeout(resolve, 1_000))
  const child = fork(new URL('kafka-tools.ts', import.meta.url), [bootstrap, name])
  const calls = () =>
    new Promise<number>((resolve, reject) =>
      child
        .once('message', count => resolve(Number(count)))
        .once('exit', code => reject(new Error(`ended with ${code}`))),
    )
  await calls()
  const topic = eventsOf(name)
  const starter = floorProducer(bootstrap)
  const owner = floorProducer(bootstrap, `${name}.agent`)
  const agent = await consumeBatches(bootstrap, { group: `${name}.agent`, topic }, async (messages, consumer) => {
    const steps = messages.map(readFloorEvent).filter(({ type }) => type === 'task.start' || type === 'tool.result')
    const transaction = await owner.beginTransaction()
    await transaction.addConsumer(consumer)
    const records = steps
      .map(decide)
      .flatMap(next => [
        recordOf(stateOf(name), next.task, { id: next.id, ...next.state }),
        recordOf(topic, next.task, next),
      ])
    // A transaction without records is refused.
    if (records.length === 0) records.push(recordOf(stateOf(name), 'idle', {}))
    await transaction.send({ messages: records })
    // Calls that overlap lose offsets.
    for (const message of lastOfEach(messages)) await transaction.addOffset(message)
    await transaction.commit()
  })
  const ended: { task: string; error?: string }[] = []
  let wake = Promise.withResolvers<void>()
  const watcher = await consumeBatches(bootstrap, { group: `${name}.ends`, topic, fromEnd: true }, async messages => {
    for (const event of messages.map(readFloorEvent).filter(({ type }) => type === 'task.completed'))
      ended.push(endOf(event))
    wake.resolve()
  })
  return {
    start: task =>
      starter.send({
        messages: [recordOf(topic, task, eventOf('task.start', task, { calls: 0, bytes: 0 }, 0, payload))],
      }),
    async ends(signal) {
      signal.addEventListener('abort', () => wake.resolve())
      return (async function* () {
        while (!signal.aborted) {
          yield* ended.splice(0)
          await wake.promise
          wake = Promise.withResolvers()
        }
      })()
    },
    async check(tasks) {
      child.send('calls')
      const count = await calls()
      if (count < 3 * tasks) throw new Error(`floor on Kafka: ${count} calls for ${tasks} tasks`)
    },
    async stop() {
      await Promise.all([agent.close(), watcher.close()])
      await Promise.all([starter.close(true), owner.close(true)])
      await stopChild(child)
      await admin.deleteTopics({ topics: [topic, stateOf(name)] })
      await admin.close()
    },
  }
}

/** The agent. Its model only asks three times. */
function decide({ type, task, state, revision, data }: FloorEvent): FloorEvent {
  if (type === 'task.start') return eventOf('tool.invoke', task, state, revision, payload)
  const after = { calls: state.calls + 1, bytes: state.bytes + data.q.length }
  return eventOf(after.calls < 3 ? 'tool.invoke' : 'task.completed', task, after, revision, payload)
}

function endOf({ task, state }: FloorEvent): { task: string; error?: string } {
  const whole = state.calls === 3 && state.bytes === 3 * payload.q.length
  return whole ? { task } : { task, error: JSON.stringify(state) }
}
