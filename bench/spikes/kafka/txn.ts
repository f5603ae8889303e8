import {
  addOffsetsToTxnV4,
  addPartitionsToTxnV3,
  Connection,
  endTxnV4,
  initProducerIdV5,
  type MessageRecord,
  NumericMap,
  produceV11,
  ProtocolError,
  txnOffsetCommitV4,
} from '@platformatic/kafka'
import { endTxnV5, produceV12, txnOffsetCommitV5 } from './requests.ts'

/*
 * One transactional producer, spoken request by request over one connection. The client's own `Transaction` cannot carry
 * commit metadata and hides which request was refused with what; its request encoders are public, so we use those.
 * One broker only: leader and coordinator are the same connection here.
 *
 * Protocol 1 registers partitions and groups beforehand (5 requests a transaction). Protocol 2 (Kafka 4) does so
 * implicitly and bumps the epoch with every end (3 requests); the client's encoders stop at 1, the bytes are the same.
 */

const transient = new Set([
  'CONCURRENT_TRANSACTIONS',
  'NOT_COORDINATOR',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
])

export const record = (topic: string, partition: number, value: string, key = 'task'): MessageRecord => ({
  topic,
  partition,
  key: Buffer.from(key),
  value: Buffer.from(value),
})

export interface Offset {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly metadata?: string
}

export interface Member {
  readonly memberId: string
  readonly generation: number
}

/** The broker's name of what went wrong, whatever the client wrapped around it. */
export function codeOf(error: unknown): string {
  if (error instanceof ProtocolError) return String(error.apiId)
  if (error instanceof AggregateError) return [...new Set(error.errors.map(codeOf))].join('+')
  return error instanceof Error ? error.message : String(error)
}

export async function connect(bootstrap: string): Promise<Connection> {
  const [host, port] = bootstrap.split(':')
  const connection = new Connection('spike', { maxInflights: 100 })
  // Requests in flight are refused one by one; the event would end the process.
  connection.on('error', () => {})
  await connection.connect(host!, Number(port))
  return connection
}

export interface SessionOptions {
  readonly bootstrap: string
  readonly id: string
  /** Transaction timeout: how long the broker lets an open transaction hold back the last stable offset. */
  readonly timeout?: number
  readonly protocol?: 1 | 2
}

export class Session {
  producer = { id: -1n, epoch: -1 }
  /** CONCURRENT_TRANSACTIONS answers: the markers of the transaction before were not written yet. */
  concurrent = 0
  readonly connection: Connection
  readonly id: string
  readonly #protocol: 1 | 2
  readonly #timeout: number
  #sequences = new NumericMap()
  #registered = new Set<string>()

  private constructor(connection: Connection, options: SessionOptions) {
    this.connection = connection
    this.id = options.id
    this.#timeout = options.timeout ?? 10_000
    this.#protocol = options.protocol ?? 2
  }

  /** Takes the transactional id over: aborts what its last owner left open, and fences that owner. */
  static async open(options: SessionOptions): Promise<Session> {
    const session = new Session(await connect(options.bootstrap), options)
    await session.init()
    return session
  }

  async init(): Promise<void> {
    // -1/-1 asks for the next epoch regardless of the last owner; the client's default of 0/0 claims to be epoch 0.
    const answer = await this.#retried(() =>
      initProducerIdV5.api.async(this.connection, this.id, this.#timeout, -1n, -1),
    )
    this.producer = { id: answer.producerId, epoch: answer.producerEpoch }
    this.#sequences = new NumericMap()
    this.#registered.clear()
  }

  async send(records: MessageRecord[]): Promise<void> {
    const { id, epoch } = this.producer
    const partitions = Map.groupBy(records, record => `${record.topic}:${record.partition}`)
    const added = [...partitions.keys()].filter(key => !this.#registered.has(key))
    if (this.#protocol === 1 && added.length > 0) {
      const missing = added.map(key => partitions.get(key)![0]!)
      const topics = [...Map.groupBy(missing, ({ topic }) => topic)].map(([name, group]) => ({
        name,
        partitions: group.map(({ partition = 0 }) => partition),
      }))
      const transaction = { transactionalId: this.id, producerId: id, producerEpoch: epoch, verifyOnly: false }
      await this.#retried(() => addPartitionsToTxnV3.api.async(this.connection, [{ ...transaction, topics }]))
    }
    for (const key of added) this.#registered.add(key)
    const sequences = new NumericMap(this.#sequences)
    const options = { transactionalId: this.id, producerId: id, producerEpoch: epoch, sequences }
    const produce = this.#protocol === 1 ? produceV11.api : produceV12
    await this.#retried<unknown>(() => produce.async(this.connection, -1, 10_000, records, options))
    for (const [key, sent] of partitions) this.#sequences.postIncrement(key, sent.length, 0)
  }

  async offsets(group: string, offsets: Offset[], member: Member = { memberId: '', generation: -1 }): Promise<void> {
    const { id, epoch } = this.producer
    if (this.#protocol === 1 && !this.#registered.has(group)) {
      await this.#retried(() => addOffsetsToTxnV4.api.async(this.connection, this.id, id, epoch, group))
      this.#registered.add(group)
    }
    const topics = offsets.map(({ topic, partition, offset, metadata = '' }) => ({
      name: topic,
      partitions: [
        { partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: -1, committedMetadata: metadata },
      ],
    }))
    const commit = this.#protocol === 1 ? txnOffsetCommitV4.api : txnOffsetCommitV5
    await this.#retried<unknown>(() =>
      commit.async(this.connection, this.id, group, id, epoch, member.generation, member.memberId, null, topics),
    )
  }

  async end(committed: boolean): Promise<void> {
    const { id, epoch } = this.producer
    this.#registered.clear()
    if (this.#protocol === 1) {
      await this.#retried(() => endTxnV4.api.async(this.connection, this.id, id, epoch, committed))
      return
    }
    const next = await this.#retried(() => endTxnV5.async(this.connection, this.id, id, epoch, committed))
    this.producer = { id: next.producerId, epoch: next.producerEpoch }
    this.#sequences = new NumericMap()
  }

  async commit(records: MessageRecord[], group?: string, offsets: Offset[] = []): Promise<void> {
    await this.send(records)
    if (group !== undefined) await this.offsets(group, offsets)
    await this.end(true)
  }

  async close(): Promise<void> {
    await this.connection.close()
  }

  async #retried<T>(request: () => Promise<T>): Promise<T> {
    for (let pause = 0; ; pause = Math.min(pause + 1, 20)) {
      try {
        return await request()
      } catch (error) {
        const code = codeOf(error)
        if (!transient.has(code)) throw error
        if (code === 'CONCURRENT_TRANSACTIONS') this.concurrent++
        await new Promise(resolve => setTimeout(resolve, pause))
      }
    }
  }
}
