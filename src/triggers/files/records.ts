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

/** The digest of the content in the last event. */
export const recordedDigest = ({ id }: FileRecord) => id.split(':')[2]!

/** Removals to remember per bucket, the newest: 100,000 in all. */
const maxRemovals = 400

const buckets = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))
const maxConcurrent = 32

export class FileRecords {
  readonly #bus: Bus
  readonly #name: string
  readonly #records = new Map<string, Map<string, FileRecord>>(buckets.map(bucket => [bucket, new Map()]))
  /** By key, the id of the event. */
  readonly #removals = new Map<string, Map<string, string>>(buckets.map(bucket => [bucket, new Map()]))
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
    for (const [path, id, stamp] of JSON.parse(text ?? '[]') as [string, string, string][]) {
      const [, key, what] = id.split(':')
      if (what === 'removed') this.#removals.get(bucket)!.set(key!, id)
      else this.#records.get(bucket)!.set(key!, { path, id, stamp })
    }
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
    return this.#records.get(key.slice(0, 2))!.get(key)
  }

  set(key: string, record: FileRecord): void {
    const bucket = key.slice(0, 2)
    this.#records.get(bucket)!.set(key, record)
    this.#removals.get(bucket)!.delete(key)
    this.#dirty.add(bucket)
  }

  /** `id`: of the `file.removed` event. */
  remove(key: string, id: string): void {
    const bucket = key.slice(0, 2)
    this.#records.get(bucket)!.delete(key)
    const removals = this.#removals.get(bucket)!
    removals.delete(key)
    removals.set(key, id)
    if (removals.size > maxRemovals) removals.delete(removals.keys().next().value!)
    this.#dirty.add(bucket)
  }

  /** The id of the last `file.removed` event; undefined if the file exists or was never seen. */
  removalOf(key: string): string | undefined {
    return this.#removals.get(key.slice(0, 2))!.get(key)
  }

  *entries(): Generator<[key: string, record: FileRecord]> {
    for (const records of this.#records.values()) yield* records
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
    for (const known of [...this.#records.values(), ...this.#removals.values()]) known.clear()
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

  #textOf(bucket: string): string {
    const records = [...this.#records.get(bucket)!.values()].map(({ path, id, stamp }) => [path, id, stamp])
    const removals = [...this.#removals.get(bucket)!.values()].map(id => ['', id, ''])
    return JSON.stringify([...records, ...removals])
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
