import { jetstream, jetstreamManager, type JetStreamClient, type JsMsg } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'

/*
 * The protocol between the two processes of a floor: one stream with the events, `NAME.e.TYPE`, and the stored state of each
 * task, `NAME.s.TASK`. A separate stream for the state, which keeps the newest only, is slower by a tenth.
 */

export interface FloorEvent {
  id: string
  type: 'task.start' | 'tool.invoke' | 'tool.result' | 'task.completed'
  time: string
  task: string
  state: { calls: number; bytes: number }
  /** Revision of the stored state that the event follows from; 0 if there is none. */
  revision: number
  data: { q: string }
}

export const subjectOf = (name: string, type: FloorEvent['type']) => `${name}.e.${type}`

/** The id follows from the task and the step, so that a repeated step publishes nothing new within the window. */
export const eventOf = (
  type: FloorEvent['type'],
  task: string,
  state: FloorEvent['state'],
  revision: number,
  data: FloorEvent['data'],
): FloorEvent => ({
  id: `${task}:${state.calls}:${type}`,
  type,
  time: new Date().toISOString(),
  task,
  state,
  revision,
  data,
})

export interface Wire {
  readonly connection: NatsConnection
  readonly js: JetStreamClient
  publish(event: FloorEvent): Promise<void>
  /** Handles every message at once, without waiting for earlier ones; `handle` acknowledges. */
  consume(group: string, types: readonly FloorEvent['type'][], handle: (message: JsMsg) => Promise<void>): Promise<void>
}

export async function connectWire(url: string, name: string): Promise<Wire> {
  // Without the traces: a stack for each request costs up to half of the throughput.
  const connection = await connect({ servers: url, noAsyncTraces: true })
  const js = jetstream(connection)
  return {
    connection,
    js,
    async publish(event) {
      await js.publish(subjectOf(name, event.type), JSON.stringify(event), { msgID: event.id })
    },
    async consume(group, types, handle) {
      const manager = await jetstreamManager(connection)
      const filter_subjects = types.map(type => subjectOf(name, type))
      await manager.consumers.add(name, { durable_name: group, ack_policy: 'explicit', filter_subjects })
      const consumer = await js.consumers.get(name, group)
      await consumer.consume({ max_messages: 500, callback: message => void handle(message) })
    },
  }
}
