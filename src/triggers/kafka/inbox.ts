import { setTimeout as pause } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { textOf, toTidingsError, type TidingsError } from '../../errors.ts'
import type { Draft } from '../../event.ts'
import { RejectionLog, warnOfTrigger } from '../warn-of-trigger.ts'
import type { RecordConverter } from './convert.ts'
import { recordId, type TopicRecord } from './record.ts'
import { isRecordFault, type Rejections } from './rejections.ts'
import type { KafkaTriggerSettings } from './settings.ts'

// While the log or the registry is unavailable; the delay doubles.
const [minRetryDelayMs, maxRetryDelayMs] = [100, 5_000]
const [maxBatch, maxBatchBytes] = [256, 1024 * 1024]

interface Conversion {
  readonly record: TopicRecord
  readonly id: string
  readonly draft: Draft
}

/** Stores the records of partitions on the log, in their order. */
export class KafkaInbox {
  readonly #bus: Bus
  readonly #settings: KafkaTriggerSettings
  readonly #converter: RecordConverter
  readonly #rejections: Rejections
  readonly #log: RejectionLog

  constructor(
    bus: Bus,
    settings: KafkaTriggerSettings,
    { converter, rejections }: { converter: RecordConverter; rejections: Rejections },
  ) {
    this.#bus = bus
    this.#settings = settings
    this.#converter = converter
    this.#rejections = rejections
    this.#log = new RejectionLog(bus, settings.name, 'set a record aside')
  }

  /**
   * Stores records of one partition. Yields how many of them are durable, batch by batch. Waits while the log or the registry is
   * unavailable. `origin`: of the topic. Throws the reason of the signal if it aborts.
   */
  async *store(records: readonly TopicRecord[], origin: string, signal: AbortSignal): AsyncGenerator<number> {
    for (let done = 0; done < records.length; ) {
      signal.throwIfAborted()
      const batch = firstBatch(records, done)
      const conversions: Conversion[] = []
      for (const record of batch) {
        const id = recordId(this.#settings.name, origin, record)
        const draft = await this.#whenAvailable(() => this.#convert(record, id), signal)
        if (draft) conversions.push({ record, id, draft })
      }
      await this.#publish(conversions, signal)
      done += batch.length
      yield done
    }
  }

  async #convert(record: TopicRecord, id: string): Promise<Draft | undefined> {
    try {
      return await this.#converter.convert(record, id)
    } catch (error) {
      if (!isRecordFault(error)) throw error
      return this.#rejected(record, id, error)
    }
  }

  #rejected(record: TopicRecord, id: string, error: TidingsError): Promise<Draft> {
    this.#log.add(error, record.topic)
    return this.#rejections.draft(record, id, error)
  }

  async #publish(batch: readonly Conversion[], signal: AbortSignal): Promise<void> {
    if (batch.length === 0) return
    try {
      await this.#whenAvailable(() => this.#bus.publishAll(batch.map(({ draft }) => draft)), signal)
    } catch (error) {
      if (!isRecordFault(error)) throw error
      const [only] = batch
      if (batch.length > 1) for (const each of batch) await this.#publish([each], signal)
      else {
        const { record, id } = only!
        const draft = await this.#whenAvailable(() => this.#rejected(record, id, error), signal)
        await this.#whenAvailable(() => this.#bus.publish(draft), signal)
      }
    }
  }

  /** Repeats the work until it succeeds or the record is at fault, while further records wait at the broker. */
  async #whenAvailable<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let ms = minRetryDelayMs; ; ms = Math.min(ms * 2, maxRetryDelayMs)) {
      try {
        return await work()
      } catch (error) {
        if (isRecordFault(error)) throw error
        if (ms === minRetryDelayMs) this.#warn(error)
        await pause(ms, undefined, { signal }).catch(() => {})
        signal.throwIfAborted()
      }
    }
  }

  #warn(error: unknown): void {
    const { code } = toTidingsError(error, 'E_LOG_UNAVAILABLE')
    warnOfTrigger(this.#bus, this.#settings.name, `records wait: ${code} ${textOf(error)}`)
  }
}

function firstBatch(records: readonly TopicRecord[], from: number): readonly TopicRecord[] {
  let bytes = 0
  let end = from
  while (end < records.length && end - from < maxBatch && (end === from || bytes < maxBatchBytes))
    bytes += records[end++]!.value?.length ?? 0
  return records.slice(from, end)
}
