import { isTransient, Refused } from '../answers.ts'
import type { LogConnection } from '../connection.ts'
import type { Message, Stream } from '../stream.ts'

/** The server takes 1,000. */
const maxBatchMessages = 500
const maxBatchBytes = 2 * 1024 * 1024
const expectedLast = 'Nats-Expected-Last-Sequence'

/** Appends to one partition in order, in atomic batches. It is the only writer, so it knows the offset of each message in advance. */
export class PartitionWriter {
  readonly #connection: LogConnection
  readonly #stream: Stream
  #batch: Message[] = []
  #bytes = 0
  #last: number

  private constructor(connection: LogConnection, stream: Stream, last: number) {
    this.#connection = connection
    this.#stream = stream
    this.#last = last
  }

  static async open(connection: LogConnection, stream: Stream): Promise<PartitionWriter> {
    return new PartitionWriter(connection, stream, (await stream.info()).state.last_seq)
  }

  /** The offset of the next message. */
  get next(): number {
    return this.#last + this.#batch.length + 1
  }

  async append(message: Message): Promise<void> {
    this.#batch.push(message)
    this.#bytes += message.body.length
    if (this.#batch.length >= maxBatchMessages || this.#bytes >= maxBatchBytes) await this.flush()
  }

  /** @throws TidingsError; then it is unknown whether the batch is stored, and the import must start over */
  async flush(): Promise<void> {
    const batch = this.#batch
    if (batch.length === 0) return
    this.#batch = []
    this.#bytes = 0
    try {
      if (batch.length > 1) await this.#appendBatch(batch)
      else this.#last = await this.#appendOne(batch[0]!)
    } catch (error) {
      throw this.#connection.toTidingsError(error)
    }
  }

  async #appendBatch(batch: readonly Message[]): Promise<void> {
    const [first, ...rest] = batch
    try {
      this.#last = await this.#stream.appendBatch([this.#next(first!), ...rest])
    } catch (error) {
      if (!isTransient(error)) throw error
      // A server without room leaves a batch unanswered, and may have stored a part. It refuses a single message with the reason.
      const last = (await this.#stream.info()).state.last_seq
      const left = batch.slice(last - this.#last)
      this.#last = last
      for (const message of left) this.#last = await this.#appendOne(message)
    }
  }

  async #appendOne(message: Message): Promise<number> {
    const { subject, body, headers } = this.#next(message)
    const { seq, duplicate } = await this.#stream.append(subject, body, headers)
    if (duplicate) throw new Refused(0, 'another process writes to the log')
    return seq
  }

  /** Is stored only right after the last message. */
  #next({ headers, ...message }: Message): Message {
    return { ...message, headers: { ...headers, [expectedLast]: this.#last } }
  }
}
