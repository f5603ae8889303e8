import { maxTimerMs, type Now } from '../../bus/clock.ts'
import type { DeferredDelivery, Position } from '../../bus/driver.ts'
import { readReason, reasonText, type Reason } from '../../bus/reason.ts'
import type { CloudEvent } from '../../event.ts'
import { token, fromToken } from './names.ts'
import type { NatsLog } from './nats-log.ts'
import type { StoredMessage } from './stored-message.ts'
import { msgId } from './stream.ts'
import { Heap } from '../shared/heap.ts'

/*
 * A deferred delivery holds no slot of its group: the message is acknowledged and a document keeps the event. It is
 * redelivered as a message on the group's own subject (`LOG.r.SHARD.GROUP`), stored before the document is removed.
 *
 *   in flight ── retry ──▶ delayed ── due ──▶ redelivered
 *        ├────── park ───▶ parked ── released ──▶ redelivered, attempt 1
 *        └────── discard ▶ dead ──── released ──▶ redelivered, attempt 1
 */

type DeferredState = DeferredDelivery['state']

export const redeliveryHeaders = {
  attempt: 'Tidings-Attempt',
  position: 'Tidings-Position',
  memo: 'Tidings-Memo',
} as const

interface DeferredDocument {
  readonly group: string
  readonly shard: number
  readonly position: Position
  readonly attempts: number
  readonly due?: number
  readonly reason: Reason
  readonly key?: string
  readonly memo?: string
  readonly event: CloudEvent
}

/** `reason` is a text for older versions, which expect one. `position` is the offset; the shard says the partition. */
interface StoredDeferred extends Omit<DeferredDocument, 'reason' | 'position'> {
  readonly position: number
  readonly reason: string
  /** Absent if an older version stored it. */
  readonly error?: Reason
}

const maxTimers = 10_000
/** The process that deferred a delivery redelivers it when due; after this time other processes do. */
const graceMs = 2_000

export class DeferredDeliveries {
  readonly #log: NatsLog
  readonly #now: Now
  /** Delayed deliveries that this process redelivers, by the subject of their document. */
  readonly #scheduled = new Set<string>()
  /** By the monotonic clock: a pause stays as long as it was when the time of day is set. */
  readonly #due = new Heap<{ subject: string; seq: number }>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(log: NatsLog, now: Now) {
    this.#log = log
    this.#now = now
  }

  async put(state: DeferredState, document: DeferredDocument): Promise<{ subject: string; seq: number }> {
    const { position, reason } = document
    const subject = this.#log.names.doc('aside', document.group, state, tokenOf(position))
    const stored: StoredDeferred = {
      ...document,
      position: position.offset,
      reason: reasonText(reason),
      error: reason,
    }
    const { seq } = await this.#log.state.append(subject, JSON.stringify(stored))
    return { subject, seq }
  }

  async delay(document: DeferredDocument, after: number): Promise<void> {
    const { subject, seq } = await this.put('delayed', { ...document, due: this.#now() + after })
    this.#schedule(subject, seq, after)
  }

  /** Schedules delayed deliveries of these groups that no other process may be scheduling. */
  async adopt(groups: Iterable<string>): Promise<void> {
    for (const group of groups)
      for await (const stored of this.#all(group, 'delayed')) {
        if (this.#scheduled.has(stored.subject)) continue
        const { due } = JSON.parse(stored.text()) as StoredDeferred
        const isNew = this.#now() - stored.at < graceMs
        this.#schedule(stored.subject, stored.seq, due! - this.#now() + (isNew ? graceMs : 0))
      }
  }

  async *list(): AsyncGenerator<DeferredDelivery> {
    for await (const stored of this.#all('*', '*')) {
      const { group, attempts, reason, error, key, event } = JSON.parse(stored.text()) as StoredDeferred
      yield {
        id: String(stored.seq),
        state: stateOf(stored),
        group,
        attempts,
        reason: readReason(error ?? reason),
        ...(key && { key }),
        event,
      }
    }
  }

  /** Those of a group, as they are stored. */
  async *stored(group: string): AsyncGenerator<StoredDeferred & { readonly state: DeferredState }> {
    for await (const stored of this.#all(group, '*'))
      yield { ...(JSON.parse(stored.text()) as StoredDeferred), state: stateOf(stored) }
  }

  /** Removes all of them. */
  async removeAll(): Promise<void> {
    await this.#log.state.purge(this.#log.names.doc('aside', '>'))
  }

  async redeliver(which: { id: string } | { key: string }): Promise<number> {
    let released = 0
    if ('id' in which) {
      const stored = await this.#byId(which.id)
      return stored && (await this.#redeliver(stored)) ? 1 : 0
    }
    for await (const stored of this.#all('*', 'parked'))
      if ((JSON.parse(stored.text()) as StoredDeferred).key === which.key && (await this.#redeliver(stored))) released++
    return released
  }

  async discard(id: string): Promise<boolean> {
    return (await this.#byId(id)) !== undefined && this.#log.state.remove(Number(id))
  }

  delayed(group: string): Promise<number> {
    return this.#log.state.count(this.#log.names.doc('aside', group, 'delayed', '*'))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #all(group: string, state: DeferredState | '*') {
    return this.#log.state.scan({ subject: this.#log.names.doc('aside', group, state, '*') })
  }

  async #byId(id: string): Promise<StoredMessage | undefined> {
    const stored = await this.#log.state.at(Number(id))
    return stored?.subject.startsWith(`${this.#log.names.doc('aside')}.`) ? stored : undefined
  }

  /** False if another process did it. A due delivery keeps its attempt count; a released one restarts at 1. */
  async #redeliver(stored: StoredMessage, isDue = false): Promise<boolean> {
    const document = JSON.parse(stored.text()) as StoredDeferred
    const { duplicate = false } = await this.#log
      .streamOfShard(document.shard)
      .append(this.#log.names.redelivery(document.shard, document.group), JSON.stringify(document.event), {
        [msgId]: `${token(document.group)}@${stored.seq}`,
        [redeliveryHeaders.attempt]: isDue ? document.attempts + 1 : 1,
        [redeliveryHeaders.position]: document.position,
        ...(isDue && document.memo !== undefined && { [redeliveryHeaders.memo]: document.memo }),
      })
    // If it was set aside again meanwhile, that has replaced the document.
    return (await this.#log.state.remove(stored.seq)) || !duplicate
  }

  /** `wait`: ms from now. */
  #schedule(subject: string, seq: number, wait: number): void {
    // The next `adopt` finds the rest.
    if (this.#due.size >= maxTimers) return
    this.#scheduled.add(subject)
    this.#due.push(performance.now() + wait, { subject, seq })
    this.#arm()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    if (this.#closed || this.#due.size === 0) return
    const wait = Math.min(Math.max(0, this.#due.next - performance.now()), maxTimerMs)
    this.#timer = setTimeout(() => void this.#redeliverDue(), wait)
  }

  async #redeliverDue(): Promise<void> {
    const due: { subject: string; seq: number }[] = []
    while (this.#due.next <= performance.now()) due.push(this.#due.pop()!)
    this.#arm()
    await Promise.all(
      due.map(async ({ subject, seq }) => {
        try {
          const stored = await this.#log.state.at(seq)
          if (stored?.subject === subject) await this.#redeliver(stored, true)
        } catch {
          // The log is unavailable; the next `adopt` finds it still delayed.
        } finally {
          this.#scheduled.delete(subject)
        }
      }),
    )
  }
}

/** On one partition the offset, as before there were several. */
const tokenOf = ({ partition, offset }: Position) => (partition === 0 ? offset : `${offset}-${partition}`)

const stateOf = ({ subject }: StoredMessage) => fromToken(subject.split('.').at(-2)!) as DeferredState
