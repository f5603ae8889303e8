import { Refused } from '../answers.ts'
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
    const [first, ...rest] = this.#batch
    if (!first) return
    const batch = [{ ...first, headers: { ...first.headers, [expectedLast]: this.#last } }, ...rest]
    this.#batch = []
    this.#bytes = 0
    try {
      this.#last = batch.length > 1 ? await this.#stream.appendBatch(batch) : await this.#appendOne(batch[0]!)
    } catch (error) {
      throw this.#connection.toTidingsError(error)
    }
  }

  async #appendOne({ subject, body, headers }: Message): Promise<number> {
    const { seq, duplicate } = await this.#stream.append(subject, body, headers)
    if (duplicate) throw new Refused(0, 'another process writes to the log')
    return seq
  }
}
