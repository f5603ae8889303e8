import { Consumer, MessagesStreamModes, Producer, type Message } from '@platformatic/kafka'
import type { FloorEvent } from './wire.ts'

/*
 * The protocol between the two processes of a floor on Kafka: one topic with the events, keyed by task, and one with the stored state of
 * each task. Written with the client as its documentation shows it, except for the retry delay, which is a second there.
 */

export type KafkaMessage = Message<Buffer, Buffer, Buffer, Buffer>

export const eventsOf = (name: string) => `${name}.events`
export const stateOf = (name: string) => `${name}.state`

export const readFloorEvent = (message: KafkaMessage) => JSON.parse(message.value.toString()) as FloorEvent

export const recordOf = (topic: string, task: string, value: object) => ({
  topic,
  key: Buffer.from(task),
  value: Buffer.from(JSON.stringify(value)),
})

/** Idempotent; with an id, transactional. */
export const floorProducer = (bootstrap: string, transactionalId?: string) =>
  new Producer({
    clientId: 'floor',
    bootstrapBrokers: [bootstrap],
    idempotent: true,
    retries: 1_000,
    retryDelay: 2,
    ...(transactionalId !== undefined && { transactionalId, producerId: -1n, producerEpoch: -1 }),
  })

export interface BatchConsumer {
  /** After the batch that is being handled. */
  close(): Promise<void>
}

/** Hands over what has arrived, all of it at once, and waits until that is handled. */
export async function consumeBatches(
  bootstrap: string,
  { group, topic, fromEnd = false }: { readonly group: string; readonly topic: string; readonly fromEnd?: boolean },
  handle: (messages: KafkaMessage[], consumer: Consumer) => Promise<void>,
): Promise<BatchConsumer> {
  const consumer = new Consumer({ clientId: 'floor', bootstrapBrokers: [bootstrap], groupId: group, maxWaitTime: 500 })
  const mode = fromEnd ? MessagesStreamModes.LATEST : MessagesStreamModes.EARLIEST
  const stream = await consumer.consume({ topics: [topic], mode, autocommit: false })
  const waiting: KafkaMessage[] = []
  let running: Promise<void> | undefined
  let isClosed = false
  const run = async () => {
    while (waiting.length > 0 && !isClosed) await handle(waiting.splice(0, maxBatch), consumer)
    running = undefined
  }
  stream.on('data', (message: KafkaMessage) => {
    waiting.push(message)
    running ??= new Promise(resolve => setImmediate(resolve)).then(run)
  })
  return {
    async close() {
      isClosed = true
      await running
      await consumer.close(true)
    },
  }
}

/** The last message of each partition. */
export const lastOfEach = (messages: readonly KafkaMessage[]) => [
  ...new Map(messages.map(message => [message.partition, message])).values(),
]

const maxBatch = 256
