import type { Now } from '../../bus/clock.ts'
import type { DeferredDelivery } from '../../bus/driver.ts'
import { readReason, type Reason } from '../../bus/reason.ts'
import type { CloudEvent } from '../../event.ts'
import { token, untoken } from './names.ts'
import type { Log } from './provision.ts'
import type { StoredMessage } from './stored-message.ts'
import { msgId } from './stream.ts'
import { Heap } from './heap.ts'

/*
 * What is set aside holds no slot of its group: the message is acknowledged, and a document keeps the event. It comes back
 * as a message on the group's own subject (`LOG.r.SHARD.GROUP`), stored before the document is removed.
 *
 *     in hand ── retry ──▶ delayed ── due ──▶ handed out again
 *        ├────── park ───▶ parked ── released ──▶ handed out again, attempt 1
 *        └────── discard ▶ dead ──── released ──▶ handed out again, attempt 1
 */

type State = DeferredDelivery['state']

export const againHeaders = { attempt: 'Tidings-Attempt', position: 'Tidings-Position', memo: 'Tidings-Memo' } as const

interface Kept {
  readonly group: string
  readonly shard: number
  readonly position: number
  readonly attempts: number
  readonly due?: number
  readonly reason: Reason
  readonly key?: string
  readonly memo?: string
  readonly event: CloudEvent
}

const keptInMemory = 10_000
/** Whoever set it aside hands it out at its time; others step in for one that is gone. */
const graceMs = 2_000

export class Aside {
  readonly #log: Log
  readonly #now: Now
  /** Delayed deliveries that this process looks after, by the subject of their document. */
  readonly #known = new Set<string>()
  /** By the monotonic clock: a pause stays as long as it was when the time of day is set. */
  readonly #due = new Heap<{ subject: string; seq: number }>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(log: Log, now: Now) {
    this.#log = log
    this.#now = now
  }

  async put(state: State, kept: Kept): Promise<{ subject: string; seq: number }> {
    const subject = this.#log.names.doc('aside', kept.group, state, kept.position)
    const { seq } = await this.#log.state.append(subject, JSON.stringify(kept))
    return { subject, seq }
  }

  /** `after`: ms from now. */
  async delay(kept: Kept, after: number): Promise<void> {
    const { subject, seq } = await this.put('delayed', { ...kept, due: this.#now() + after })
    this.#watch(subject, seq, after)
  }

  /** Takes care of what is delayed in these groups and of which nobody else may be taking care. */
  async adopt(groups: Iterable<string>): Promise<void> {
    for (const group of groups)
      for await (const stored of this.#all(group, 'delayed')) {
        if (this.#known.has(stored.subject)) continue
        const { due } = JSON.parse(stored.text()) as Kept
        const isNew = this.#now() - stored.at < graceMs
        this.#watch(stored.subject, stored.seq, due! - this.#now() + (isNew ? graceMs : 0))
      }
  }

  async *list(): AsyncGenerator<DeferredDelivery> {
    for await (const stored of this.#all('*', '*')) {
      const { group, attempts, reason, key, event } = JSON.parse(stored.text()) as Kept
      yield {
        id: String(stored.seq),
        state: stateOf(stored),
        group,
        attempts,
        reason: readReason(reason),
        ...(key && { key }),
        event,
      }
    }
  }

  async release(which: { id: string } | { key: string }): Promise<number> {
    let released = 0
    if ('id' in which) {
      const stored = await this.#byId(which.id)
      return stored && (await this.#handOut(stored)) ? 1 : 0
    }
    for await (const stored of this.#all('*', 'parked'))
      if ((JSON.parse(stored.text()) as Kept).key === which.key && (await this.#handOut(stored))) released++
    return released
  }

  async drop(id: string): Promise<boolean> {
    return (await this.#byId(id)) !== undefined && this.#log.state.remove(Number(id))
  }

  delayed(group: string): Promise<number> {
    return this.#log.state.count(this.#log.names.doc('aside', group, 'delayed', '*'))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #all(group: string, state: State | '*') {
    return this.#log.state.scan({ subject: this.#log.names.doc('aside', group, state, '*') })
  }

  async #byId(id: string): Promise<StoredMessage | undefined> {
    const stored = await this.#log.state.at(Number(id))
    return stored?.subject.startsWith(`${this.#log.names.doc('aside')}.`) ? stored : undefined
  }

  /** False when somebody else did it. A delivery that is due goes on counting; one that is released begins again. */
  async #handOut(stored: StoredMessage, isDue = false): Promise<boolean> {
    const kept = JSON.parse(stored.text()) as Kept
    await this.#log.events.append(this.#log.names.again(kept.shard, kept.group), JSON.stringify(kept.event), {
      [msgId]: `${token(kept.group)}@${stored.seq}`,
      [againHeaders.attempt]: isDue ? kept.attempts + 1 : 1,
      [againHeaders.position]: kept.position,
      ...(isDue && kept.memo !== undefined && { [againHeaders.memo]: kept.memo }),
    })
    return this.#log.state.remove(stored.seq)
  }

  /** `wait`: ms from now. */
  #watch(subject: string, seq: number, wait: number): void {
    // What is too much is found again by the next `adopt`.
    if (this.#due.size >= keptInMemory) return
    this.#known.add(subject)
    this.#due.push(performance.now() + wait, { subject, seq })
    this.#arm()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    if (this.#closed || this.#due.size === 0) return
    const wait = Math.min(Math.max(0, this.#due.next - performance.now()), 2 ** 31 - 1)
    this.#timer = setTimeout(() => void this.#serve(), wait)
  }

  async #serve(): Promise<void> {
    const due: { subject: string; seq: number }[] = []
    while (this.#due.next <= performance.now()) due.push(this.#due.pop()!)
    this.#arm()
    await Promise.all(
      due.map(async ({ subject, seq }) => {
        try {
          const stored = await this.#log.state.at(seq)
          if (stored?.subject === subject) await this.#handOut(stored, true)
        } catch {
          // The log is away; whoever looks next finds it still delayed.
        } finally {
          this.#known.delete(subject)
        }
      }),
    )
  }
}

const stateOf = ({ subject }: StoredMessage) => untoken(subject.split('.').at(-2)!) as State
