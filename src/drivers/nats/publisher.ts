import type { AppendResult, EncodedEvent, Position } from '../../bus/driver.ts'
import { TidingsError } from '../../errors.ts'
import { codes, isTransient, Refused } from './answers.ts'
import type { LogConnection } from './connection.ts'
import type { NatsLog } from './nats-log.ts'
import type { RecentEvents } from './recent-events.ts'
import { type Message, msgId, type Stream } from './stream.ts'
import { encodeId } from './turns.ts'

/** The limit of the server for an atomic batch, where it is not set otherwise. */
const maxBatchMessages = 1_000

interface PartitionedMessage extends Message {
  readonly partition: number
}

/** Publishes events: one as a message, several as an atomic batch. Ids are unique in a partition within the window of the server. */
export class EventPublisher {
  readonly #connection: LogConnection
  readonly #log: NatsLog
  readonly #recent: RecentEvents

  constructor(connection: LogConnection, log: NatsLog, recent: RecentEvents) {
    this.#connection = connection
    this.#log = log
    this.#recent = recent
  }

  async publish(entries: readonly EncodedEvent[]): Promise<AppendResult[]> {
    // Encode first: it must fail before anything is stored.
    const messages = entries.map(entry => this.#message(entry))
    if (messages.length === 0) return []
    if (messages.length > 1) return this.#batches(messages)
    const [{ subject, body, headers, partition }] = messages as [PartitionedMessage]
    const { seq, duplicate = false } = await this.#log.partitions[partition]!.append(subject, body, headers)
    const position = { partition, offset: seq }
    if (!duplicate) this.#recent.add(position, entries[0]!.event.id, entries[0]!.json)
    return [{ position, duplicate }]
  }

  #message({ event, json }: EncodedEvent): PartitionedMessage {
    if (json.length * 3 > this.#connection.maxPayload && Buffer.byteLength(json) > this.#connection.maxPayload - 1_024)
      throw new TidingsError(
        'E_EVENT_TOO_LARGE',
        `${event.type}: ${Buffer.byteLength(json)} bytes; the server accepts at most ${this.#connection.maxPayload} (max_payload)`,
      )
    const { names } = this.#log
    return {
      partition: names.partitionOf(names.shardOf(event.correlationid)),
      subject: names.event(event),
      body: json,
      headers: { [msgId]: encodeId(event.id) },
    }
  }

  /** One batch for each partition, so that a correlation is stored whole. */
  async #batches(messages: readonly PartitionedMessage[]): Promise<AppendResult[]> {
    if (messages.length > maxBatchMessages)
      throw new TidingsError(
        'E_EVENT_TOO_LARGE',
        `the batch has ${messages.length} events; the maximum is ${maxBatchMessages}`,
      )
    const byPartition = Map.groupBy(messages, ({ partition }) => partition)
    const stored = new Map<PartitionedMessage, AppendResult>()
    await Promise.all(
      [...byPartition].map(async ([partition, part]) => {
        const results = await this.#batch(partition, part)
        part.forEach((message, i) => stored.set(message, results[i]!))
      }),
    )
    return messages.map(message => stored.get(message)!)
  }

  /** A known id rejects the whole batch without naming the id: finds the known ones and retries the rest. */
  async #batch(partition: number, messages: readonly Message[]): Promise<AppendResult[]> {
    const stream = this.#log.partitions[partition]!
    const at = (offset: number): Position => ({ partition, offset })
    const positions = new Map<string, AppendResult>()
    const idOf = ({ headers }: Message) => String(headers[msgId])
    const firsts = new Set<string>()
    let left = messages.filter(message => firsts.size !== firsts.add(idOf(message)).size)
    while (left.length > 0) {
      const stored = await this.#connection.retryUntilAnswered(() => tryBatch(stream, left))
      if (stored !== undefined) {
        left.forEach((message, i) =>
          positions.set(idOf(message), { position: at(stored - left.length + 1 + i), duplicate: false }),
        )
        break
      }
      const found = await Promise.all(left.map(message => stream.find(message.subject, idOf(message))))
      found.forEach((seq, i) => {
        if (seq !== undefined) positions.set(idOf(left[i]!), { position: at(seq), duplicate: true })
      })
      left = left.filter((_, i) => found[i] === undefined)
    }
    const seen = new Set<string>()
    return messages.map(message => {
      const id = idOf(message)
      const appended = positions.get(id)!
      const isRepeated = seen.size === seen.add(id).size
      return isRepeated ? { ...appended, duplicate: true } : appended
    })
  }
}

/** Undefined when an id is there already, perhaps from an earlier copy of the same batch whose answer was lost. */
async function tryBatch(stream: Stream, messages: readonly Message[]): Promise<number | undefined> {
  try {
    if (messages.length > 1) return await stream.appendBatch(messages)
    const { subject, body, headers } = messages[0]!
    const { seq, duplicate } = await stream.append(subject, body, headers)
    return duplicate ? undefined : seq
  } catch (error) {
    if (error instanceof Refused && error.code === codes.batchHasDuplicate) return undefined
    if (error instanceof Refused && !isTransient(error) && isTooManyBatches(error))
      throw new Refused(codes.notAvailable, error.message)
    throw error
  }
}

const isTooManyBatches = ({ code }: Refused) => code === 10176 || code === 10210 || code === 10211
