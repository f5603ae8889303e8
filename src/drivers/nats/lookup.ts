import type { Stored } from '../../bus/driver.ts'
import { correlationOf, isCorrelation, isReservedId, parseId } from '../../bus/ids.ts'
import type { CloudEvent } from '../../event.ts'
import type { Names } from './names.ts'
import type { Log } from './provision.ts'
import { mintedAt } from './seals.ts'
import type { StoredMessage } from './stream.ts'
import { decodeId, encodeId, type Turns } from './turns.ts'
import { msgId } from './stream.ts'

const clockSkewMs = 60_000

/**
 * Finds events by id, task and correlation without an index of ids: JetStream has one of subjects only, in memory, and an
 * event has no subject of its own. The server knows the ids of the last two minutes; an id that the runtime made says in
 * which journal it stands; any other event lies in the shard of its correlation, not before that was minted.
 */
export class Lookup {
  readonly #log: Log
  readonly #turns: Turns

  constructor(log: Log, turns: Turns) {
    this.#log = log
    this.#turns = turns
  }

  async get(id: string, correlation?: string): Promise<Stored | undefined> {
    const recent = await this.#recent(id, correlation)
    if (recent) return recent
    const minted = isReservedId(id) ? id.slice(0, 36) : correlation
    const derived = parseId(id)
    if (derived && derived.ordinal === undefined && derived.suffix === undefined) return this.#turn(derived.task, id)
    for await (const stored of minted ? this.#shardOf(minted) : this.#log.events.scan(since(id)))
      if (decodeId(stored.header(msgId)) === id) return this.#stored(stored)
    return undefined
  }

  /** What a correlation left on the log, in order. */
  async *correlation(correlation: string): AsyncGenerator<Stored> {
    if (!isCorrelation(correlation)) return
    for await (const stored of this.#shardOf(correlation)) {
      const found = this.#stored(stored)
      if (found?.event.correlationid === correlation) yield found
    }
  }

  /** The turns of a task and what they emitted, answers included, in order. */
  async *task(task: string): AsyncGenerator<Stored> {
    const first = await this.#log.events.next(this.#log.names.turn(task), 1)
    if (!first) return
    const subject = this.#log.names.shard(this.#log.names.shardOf(correlationOf(task)))
    for await (const stored of this.#log.events.scan({ subject, from: first.seq })) {
      const found = this.#stored(stored)
      if (found?.event.id.startsWith(`${task}:`)) yield found
    }
  }

  async #recent(id: string, correlation = id.slice(0, 36)): Promise<Stored | undefined> {
    const place = isCorrelation(correlation) ? correlation : '00000000-0000-0000-0000-000000000000'
    const subject = this.#log.names.event({ correlationid: place, type: 'lookup' })
    const seq = await this.#log.events.find(subject, encodeId(id))
    const stored = seq === undefined ? undefined : await this.#log.events.at(seq)
    return stored && this.#stored(stored)
  }

  async #turn(task: string, id: string): Promise<Stored | undefined> {
    for await (const stored of this.#log.events.scan({ subject: this.#log.names.turn(task) })) {
      const found = this.#stored(stored)
      if (found?.event.id === id) return found
    }
    return undefined
  }

  #shardOf(correlation: string) {
    const subject = this.#log.names.shard(this.#log.names.shardOf(correlation))
    return this.#log.events.scan({ subject, ...since(correlation) })
  }

  #stored(stored: StoredMessage): Stored | undefined {
    const event = eventIn(this.#log.names, stored.subject, stored.text)
    return event && { position: stored.seq, event }
  }
}

/** The event that a message holds; undefined for what is no event of the log. */
export function eventIn({ log }: Names, subject: string, text: () => string): CloudEvent | undefined {
  const kind = subject[log.length + 1]
  if (kind === 'e') return JSON.parse(text()) as CloudEvent
  return kind === 't' ? (JSON.parse(text().split('\n', 1)[0]!) as CloudEvent) : undefined
}

/** What carries a UUIDv7 was not stored before that was minted, but for clocks that differ. */
function since(id: string): { since?: Date } {
  const minted = isCorrelation(id) ? mintedAt(id) : undefined
  return minted === undefined ? {} : { since: new Date(minted - clockSkewMs) }
}
