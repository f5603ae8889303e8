import { hash } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import type { Position } from '../../bus/driver.ts'

/*
 * What was published of each file. The log is the truth: the ledger is what its events say, kept in documents of the log so
 * that it need not be read from the beginning, and so that whoever takes the folder over finds it. It is written now and
 * then; what came after it is read from the log at the next start.
 *
 *     files/NAME       { "after": position }     what was published until then is in the others
 *     files/NAME/00…ff   [[path, id, stamp], …]    by the beginning of the key, so that one change writes little; of a file
 *                                                 that was removed ["", id, ""]
 */

export interface FileRecord {
  /** As its last event has it: redacted where it holds a secret, so that the key alone tells which file it is. */
  readonly path: string
  /** Of its last event. */
  readonly id: string
  /** As it was seen then; empty where that is not known, and its content decides. */
  readonly stamp: string
}

/** Names a file in ids, which hold no control characters and have a bounded length. */
export const fileKey = (name: string, path: string) => hash('sha256', `${name}\0${path}`, 'hex').slice(0, 24)

/**
 * The same for all who see the same thing happen. The stamp tells a file that comes back from the one that it was; the time
 * of change in it cannot be set by anybody. It stays as it is where a folder above the file is moved: then `removal`, the id of
 * the event that said that the file is gone, tells them apart.
 */
export const writtenId = (key: string, digest: string, stamp: string, removal = '') =>
  `file:${key}:${digest}:${hash('sha256', stamp + removal, 'hex').slice(0, 12)}`

export const removedId = (key: string, { id }: FileRecord) =>
  `file:${key}:removed:${hash('sha256', id, 'hex').slice(0, 12)}`

/** What the content of a file was, by the id of its last event. */
export const recordedDigest = ({ id }: FileRecord) => id.split(':')[2]!

/** Removals that are remembered, the newest of each bucket: 100,000 in all. */
const maxRemovals = 400

const buckets = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))
const readAtOnce = 32

export class FileRecords {
  readonly #bus: Bus
  readonly #name: string
  readonly #rows = new Map<string, Map<string, FileRecord>>(buckets.map(bucket => [bucket, new Map()]))
  /** By key, the id of the event. */
  readonly #removals = new Map<string, Map<string, string>>(buckets.map(bucket => [bucket, new Map()]))
  readonly #dirty = new Set<string>()
  readonly #open = new Set<{ readonly position: Position }>()
  #known: Position = 0
  #flushing: Promise<void> = Promise.resolve()

  constructor(bus: Bus, name: string) {
    this.#bus = bus
    this.#name = name
  }

  /** `types`: those of the events that tell of files. */
  async load(types: readonly string[]): Promise<void> {
    const header = await this.#read('')
    if (header === undefined) {
      this.#known = await this.#bus.head()
      await this.#write('', JSON.stringify({ after: this.#known }))
      return
    }
    this.#known = (JSON.parse(header) as { after: Position }).after
    for (let i = 0; i < buckets.length; i += readAtOnce)
      await Promise.all(buckets.slice(i, i + readAtOnce).map(bucket => this.#readBucket(bucket)))
    await this.#catchUp(types)
  }

  async #readBucket(bucket: string): Promise<void> {
    const text = await this.#read(bucket)
    for (const [path, id, stamp] of JSON.parse(text ?? '[]') as [string, string, string][]) {
      const [, key, what] = id.split(':')
      if (what === 'removed') this.#removals.get(bucket)!.set(key!, id)
      else this.#rows.get(bucket)!.set(key!, { path, id, stamp })
    }
  }

  async #catchUp(types: readonly string[]): Promise<void> {
    for await (const { position, event } of this.#bus.read({ after: this.#known, filter: [{ types }] })) {
      const [form, key, what] = event.id.split(':')
      if (event.source !== `/triggers/${this.#name}` || form !== 'file') continue
      const { data } = await this.#bus.resolve(event).catch(() => event)
      if (what === 'removed') this.remove(key!, event.id)
      else this.set(key!, { path: (data as { path?: string } | null)?.path ?? '', id: event.id, stamp: '' })
      this.#known = position
    }
  }

  get(key: string): FileRecord | undefined {
    return this.#rows.get(key.slice(0, 2))!.get(key)
  }

  set(key: string, row: FileRecord): void {
    const bucket = key.slice(0, 2)
    this.#rows.get(bucket)!.set(key, row)
    this.#removals.get(bucket)!.delete(key)
    this.#dirty.add(bucket)
  }

  /** `id`: that of the event that says so. */
  remove(key: string, id: string): void {
    const bucket = key.slice(0, 2)
    this.#rows.get(bucket)!.delete(key)
    const removals = this.#removals.get(bucket)!
    removals.delete(key)
    removals.set(key, id)
    if (removals.size > maxRemovals) removals.delete(removals.keys().next().value!)
    this.#dirty.add(bucket)
  }

  /** The id of the event that said last that the file is gone; undefined where it is there, or was not seen yet. */
  removalOf(key: string): string | undefined {
    return this.#removals.get(key.slice(0, 2))!.get(key)
  }

  *entries(): Generator<[key: string, row: FileRecord]> {
    for (const rows of this.#rows.values()) yield* rows
  }

  /** Around a publish and the entry of its row: what is published meanwhile is not taken for entered. */
  async recording<T>(work: (published: (position: Position) => void) => Promise<T>): Promise<T> {
    const mark = { position: this.#known }
    this.#open.add(mark)
    try {
      return await work(position => {
        this.#known = Math.max(this.#known, position)
      })
    } finally {
      this.#open.delete(mark)
    }
  }

  /** The log is another one, without anything of this. */
  reset(): void {
    for (const known of [...this.#rows.values(), ...this.#removals.values()]) known.clear()
    this.#known = 0
    for (const bucket of buckets) this.#dirty.add(bucket)
  }

  /** Writes what has changed. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.catch(() => {}).then(() => this.#flush())
    return this.#flushing
  }

  async #flush(): Promise<void> {
    if (this.#dirty.size === 0) return
    const after = Math.min(this.#known, ...[...this.#open].map(({ position }) => position))
    const changed = [...this.#dirty]
    this.#dirty.clear()
    try {
      for (let i = 0; i < changed.length; i += readAtOnce)
        await Promise.all(changed.slice(i, i + readAtOnce).map(bucket => this.#write(bucket, this.#textOf(bucket))))
      // Behind the rows: who dies before it reads some events once more.
      await this.#write('', JSON.stringify({ after }))
    } catch (error) {
      for (const bucket of changed) this.#dirty.add(bucket)
      throw error
    }
  }

  #textOf(bucket: string): string {
    const rows = [...this.#rows.get(bucket)!.values()].map(({ path, id, stamp }) => [path, id, stamp])
    const removals = [...this.#removals.get(bucket)!.values()].map(id => ['', id, ''])
    return JSON.stringify([...rows, ...removals])
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
