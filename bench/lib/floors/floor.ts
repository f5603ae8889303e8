import { DeliverPolicy, JetStreamApiCodes, JetStreamApiError, jetstreamManager, type JsMsg } from '@nats-io/jetstream'
import { randomUUIDv7 } from 'node:crypto'
import type { Target } from '../load.ts'
import { removeStreams } from '../nats.ts'
import { forkTools } from './tools.ts'
import { connectWire, eventOf, subjectOf, type FloorEvent } from './wire.ts'

/*
 * The cost of a task that is written by hand with the raw client: the agent in this process, the tools in a second one, every
 * event in a JetStream stream, every publish awaited before its input is acknowledged.
 *
 * `B`: the state of the agent travels in the events. `C`: before each event, the agent stores the state of the task, fenced by
 * the previous revision.
 */

export type FloorName = 'B' | 'C'

export interface Floor extends Target {
  /** @throws if the tools did not run three times per task */
  check(tasks: number): Promise<void>
  stop(): Promise<void>
}

const payload = { q: 'x'.repeat(292) }

export async function startFloor(url: string, floor: FloorName): Promise<Floor> {
  const name = `floor_${floor}_${randomUUIDv7()}`
  const wire = await connectWire(url, name)
  const manager = await jetstreamManager(wire.connection)
  await manager.streams.add({ name, subjects: [`${name}.>`] })
  const tools = await forkTools(url, name)
  await wire.consume('agent', ['task.start', 'tool.result'], async message => {
    const next = decide(message)
    const revision = floor === 'C' ? await store(next) : 0
    if (revision !== undefined) await wire.publish({ ...next, revision })
    message.ack()
  })

  return {
    start: task => wire.publish(eventOf('task.start', task, { calls: 0, bytes: 0 }, 0, payload)),
    async ends() {
      const filter_subjects = subjectOf(name, 'task.completed')
      const consumer = await wire.js.consumers.get(name, { filter_subjects, deliver_policy: DeliverPolicy.New })
      return endsOf(await consumer.consume())
    },
    async check(tasks) {
      const calls = await tools.calls()
      if (calls !== 3 * tasks) throw new Error(`floor ${floor}: ${calls} calls for ${tasks} tasks`)
    },
    async stop() {
      await tools.stop()
      await removeStreams(manager, name)
      await wire.connection.close()
    },
  }

  /** The revision of the state stored; undefined: another step of the task has been stored meanwhile. */
  async function store({ id, task, state, revision }: FloorEvent): Promise<number | undefined> {
    const subject = `${name}.s.${task}`
    try {
      const expect = { lastSubjectSequence: revision }
      return (await wire.js.publish(subject, JSON.stringify({ id, ...state }), { expect })).seq
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamWrongLastSequence) throw error
      const stored = await manager.streams.getMessage(name, { last_by_subj: subject })
      return stored?.json<{ id: string }>().id === id ? stored.seq : undefined
    }
  }
}

/** The agent. Its model only asks three times. */
function decide(message: JsMsg): FloorEvent {
  const { type, task, state, revision, data } = message.json<FloorEvent>()
  if (type === 'task.start') return eventOf('tool.invoke', task, state, revision, payload)
  const after = { calls: state.calls + 1, bytes: state.bytes + data.q.length }
  return eventOf(after.calls < 3 ? 'tool.invoke' : 'task.completed', task, after, revision, payload)
}

async function* endsOf(messages: AsyncIterable<JsMsg>): AsyncGenerator<{ task: string; error?: string }> {
  for await (const message of messages) {
    const { task, state } = message.json<FloorEvent>()
    const whole = state.calls === 3 && state.bytes === 3 * payload.q.length
    yield whole ? { task } : { task, error: JSON.stringify(state) }
  }
}
