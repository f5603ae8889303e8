import type { OutRecord } from './records.ts'
import type { GroupOffsets, TransactionalProducer } from './transactional-producer.ts'

interface WaitingWrite {
  readonly records: readonly OutRecord[]
  readonly onBegin: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const maxWrites = 256
const maxChars = 2 << 20

/**
 * Writes that wait for the transaction before them share the next one: a transaction costs about the same whatever it contains.
 * `offsetsOf` is asked just before a transaction is closed, so that it commits the newest progress of the group.
 */
export class BatchedWriter {
  readonly #producer: TransactionalProducer
  readonly #offsetsOf: () => readonly GroupOffsets[]
  readonly #waiting: WaitingWrite[] = []
  #isWriting = false

  constructor(producer: TransactionalProducer, offsetsOf: () => readonly GroupOffsets[] = () => []) {
    this.#producer = producer
    this.#offsetsOf = offsetsOf
  }

  /**
   * Resolves when the records are stored. `onBegin`: called when they enter their transaction, before the offsets are asked for. If it rejects, the producer has ended, and so do all writes that wait.
   * @throws KafkaRefusal if nothing was written, E_LOG_UNAVAILABLE if that is unknown
   */
  write(records: readonly OutRecord[], onBegin = () => {}): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, onBegin, resolve, reject })
      if (!this.#isWriting) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#isWriting = true
    while (this.#waiting.length > 0) {
      // What arrives in this turn of the event loop belongs to the same transaction.
      await Promise.resolve()
      const writes = this.#waiting.splice(0, this.#nextCount())
      for (const { onBegin } of writes) onBegin()
      try {
        await this.#producer.commit({ records: writes.flatMap(({ records }) => records), offsets: this.#offsetsOf() })
        for (const { resolve } of writes) resolve()
      } catch (error) {
        for (const { reject } of [...writes, ...this.#waiting.splice(0)]) reject(error)
      }
    }
    this.#isWriting = false
  }

  /** At least one. */
  #nextCount(): number {
    let chars = 0
    let count = 0
    while (count < Math.min(this.#waiting.length, maxWrites) && (count === 0 || chars < maxChars))
      for (const { value } of this.#waiting[count++]!.records) chars += value?.length ?? 0
    return count
  }
}
