import { hash } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import { advance, beginning, intersectionOf, readCursor } from '../../bus/cursor.ts'
import type { Cursor, Position } from '../../bus/driver.ts'
import { readByTime } from '../../bus/read-by-time.ts'

/*
 * What was published of each file. The events on the log are the source of truth; documents cache them, so that a start need
 * not read the log from the beginning, in this process or another one that takes over the folder. The documents are written
 * periodically; later events are read from the log at the next start.
 *
 *     files/NAME       { "after": cursor }       the other documents contain what was published until then
 *     files/NAME/00…ff   [[path, id, stamp], …]    by the beginning of the key, so that one change writes little; of a file
 *                                                 that was removed ["", id, ""]
 */

export interface FileRecord {
  /** As in its last event: redacted if it contains a secret, so only the key identifies the file. */
  readonly path: string
  /** The id of its last event. */
  readonly id: string
  /** The stamp at that time; empty if unknown, and then the content decides. */
  readonly stamp: string
}

/** Identifies a file in event ids, which have a bounded length and no control characters. */
export const fileKey = (name: string, path: string) => hash('sha256', `${name}\0${path}`, 'hex').slice(0, 24)

/**
 * The same in every process for the same change. The stamp distinguishes a file that comes back from its earlier version,
 * because its change time cannot be set. Moving a parent folder does not change the stamp: then `removal`, the id of the last
 * `file.removed`, distinguishes them.
 */
export const writtenId = (key: string, digest: string, stamp: string, removal = '') =>
  `file:${key}:${digest}:${hash('sha256', stamp + removal, 'hex').slice(0, 12)}`

export const removedId = (key: string, { id }: FileRecord) =>
  `file:${key}:removed:${hash('sha256', id, 'hex').slice(0, 12)}`

/** The digest of the content in the last event; `removed` if that was a removal. */
export const recordedDigest = ({ id }: FileRecord) => id.split(':')[2]!

const isRemoved = (record: FileRecord) => recordedDigest(record) === 'removed'

/** Removals to remember per bucket, the newest: 100,000 in all. */
const maxRemovals = 400

const buckets = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))
const maxConcurrent = 32

export class FileRecords {
  readonly #bus: Bus
  readonly #name: string
  /** By bucket, then by key, with those of removed files. */
  readonly #records = new Map(buckets.map(bucket => [bucket, new Map<string, FileRecord>()]))
  readonly #dirty = new Set<string>()
  readonly #publishing = new Set<{ readonly cursor: Cursor }>()
  #readUpTo: Cursor = beginning
  #flushing: Promise<void> = Promise.resolve()

  constructor(bus: Bus, name: string) {
    this.#bus = bus
    this.#name = name
  }

  /** `types`: of the events of this trigger. */
  async load(types: readonly string[]): Promise<void> {
    const header = await this.#read('')
    if (header === undefined) {
      this.#readUpTo = await this.#bus.head()
      await this.#write('', JSON.stringify({ after: this.#readUpTo }))
      return
    }
    // Older versions stored a number.
    this.#readUpTo = readCursor((JSON.parse(header) as { after: unknown }).after)
    for (let i = 0; i < buckets.length; i += maxConcurrent)
      await Promise.all(buckets.slice(i, i + maxConcurrent).map(bucket => this.#readBucket(bucket)))
    await this.#catchUp(types)
  }

  async #readBucket(bucket: string): Promise<void> {
    const text = await this.#read(bucket)
    for (const [path, id, stamp] of JSON.parse(text ?? '[]') as [string, string, string][])
      this.#records.get(bucket)!.set(id.split(':')[1]!, { path, id, stamp })
  }

  async #catchUp(types: readonly string[]): Promise<void> {
    // In the order of time: the events of one file are in several partitions, and the last one counts.
    const period = { after: this.#readUpTo, until: await this.#bus.head(), filter: [{ types }] }
    for await (const { cursor, event } of readByTime(this.#bus, period)) {
      const [form, key, what] = event.id.split(':')
      if (event.source !== `/triggers/${this.#name}` || form !== 'file') continue
      const { data } = await this.#bus.resolve(event).catch(() => event)
      if (what === 'removed') this.remove(key!, event.id)
      else this.set(key!, { path: (data as { path?: string } | null)?.path ?? '', id: event.id, stamp: '' })
      this.#readUpTo = cursor
    }
  }

  get(key: string): FileRecord | undefined {
    const record = this.#bucketOf(key).get(key)
    return record && !isRemoved(record) ? record : undefined
  }

  set(key: string, record: FileRecord): void {
    const records = this.#bucketOf(key)
    // Deleted first, so that it moves to the end.
    records.delete(key)
    records.set(key, record)
    this.#dirty.add(key.slice(0, 2))
  }

  /** `id`: of the `file.removed` event. */
  remove(key: string, id: string): void {
    this.set(key, { path: '', id, stamp: '' })
  }

  /** The id of the last `file.removed` event; undefined if the file exists or was never seen. */
  removalOf(key: string): string | undefined {
    const record = this.#bucketOf(key).get(key)
    return record && isRemoved(record) ? record.id : undefined
  }

  *entries(): Generator<[key: string, record: FileRecord]> {
    for (const records of this.#records.values()) yield* records.entries().filter(([, record]) => !isRemoved(record))
  }

  #bucketOf(key: string): Map<string, FileRecord> {
    return this.#records.get(key.slice(0, 2))!
  }

  /** Wraps a publish and the update of its record, so that a flush in between does not skip the event. */
  async recording<T>(work: (published: (position: Position) => void) => Promise<T>): Promise<T> {
    const mark = { cursor: this.#readUpTo }
    this.#publishing.add(mark)
    try {
      return await work(position => {
        this.#readUpTo = advance(this.#readUpTo, position)
      })
    } finally {
      this.#publishing.delete(mark)
    }
  }

  /** For a log that is empty now. */
  reset(): void {
    for (const records of this.#records.values()) records.clear()
    this.#readUpTo = beginning
    for (const bucket of buckets) this.#dirty.add(bucket)
  }

  /** Writes changed records. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.catch(() => {}).then(() => this.#flush())
    return this.#flushing
  }

  async #flush(): Promise<void> {
    if (this.#dirty.size === 0) return
    const after = [...this.#publishing].reduce((all, { cursor }) => intersectionOf(all, cursor), this.#readUpTo)
    const changed = [...this.#dirty]
    this.#dirty.clear()
    try {
      for (let i = 0; i < changed.length; i += maxConcurrent)
        await Promise.all(changed.slice(i, i + maxConcurrent).map(bucket => this.#write(bucket, this.#textOf(bucket))))
      // After the records: a crash before this only makes the next start read some events twice.
      await this.#write('', JSON.stringify({ after }))
    } catch (error) {
      for (const bucket of changed) this.#dirty.add(bucket)
      throw error
    }
  }

  /** Forgets the oldest removals, beyond the limit. */
  #textOf(bucket: string): string {
    const records = this.#records.get(bucket)!
    const removals = [...records].filter(([, record]) => isRemoved(record))
    for (const [key] of removals.slice(0, -maxRemovals)) records.delete(key)
    return JSON.stringify([...records.values()].map(({ path, id, stamp }) => [path, id, stamp]))
  }

  #read(part: string): Promise<string | undefined> {
    return this.#bus.documents.readText(this.#key(part))
  }

  /** Overwrites what another process wrote, which sees the same folder. */
  #write(part: string, value: string): Promise<void> {
    return this.#bus.documents.replaceText(this.#key(part), value)
  }

  #key(part: string): string {
    return part === '' ? `files/${this.#name}` : `files/${this.#name}/${part}`
  }
}
