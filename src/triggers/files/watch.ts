import { lstat } from 'node:fs/promises'
import { relative } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'
import type { Bus } from '../../bus/bus.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { settledOrAborted } from '../../bus/abort.ts'
import { metrics } from '../../bus/telemetry/metrics.ts'
import { textOf, TidingsError } from '../../errors.ts'
import { recordedDigest, fileKey, type FileRecords, removedId, writtenId } from './records.ts'
import { isNotFound, isHiddenPath, inspectFile, readUnchanged, type FileState, walkFolder } from './file-system.ts'
import { pathOnLog, type WatchedFolder, publishRemoved, publishWritten } from './publish.ts'

/*
 * Two ways to notice a file: the system tells of changes, by way of chokidar, and now and then the folder is walked. The
 * first is quick, the second misses nothing: not what happened before the start, nor what the system had no room to tell.
 * What is noticed is looked at until it stays as it is, then it is read and published, a few files at once.
 */

export interface FolderWatchOptions extends WatchedFolder {
  readonly isWanted: (path: string) => boolean
  /** How long a file must stay as it is until it counts as finished. */
  readonly stableMs: number
  readonly maxBytes: number
  readonly pace: WatchIntervals
}

export interface WatchIntervals {
  /** Between two walks. */
  readonly walkIntervalMs: number
  /** Until what could not be read or published is tried again. */
  readonly retryDelayMs: number
  /** Until what has changed in the ledger is written. */
  readonly flushIntervalMs: number
}

/** A file that was noticed. */
interface Noticed {
  readonly key: string
  readonly path: string
  /** Its name is on the log redacted only, so that nobody can look for it: a walk did not find it. */
  readonly isMissing: boolean
  /** What was seen last: undefined before anything was, null where there is no file. */
  seen?: FileState | null
  /** Times here are by the monotonic clock. Since when it is like that, */
  since: number
  /** and when to look at it next. */
  next: number
  isBusy: boolean
  /** Noticed once more while it was busy. */
  again: boolean
}

const atOnce = 32
/** Content in memory, unless a single file is larger. */
const bytesAtOnce = 32 * 1024 * 1024
/** Enough for what is moved into the folder, or replaces another file. */
const quickMs = 100
const tickMs = 25

export class FolderWatcher {
  readonly #bus: Bus
  readonly #ledger: FileRecords
  readonly #settings: FolderWatchOptions
  readonly #noticed = new Map<string, Noticed>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #told = new Set<string>()
  /** By key, the names of which the ledger has only the redacted form, as far as this process has seen them. */
  readonly #realPaths = new Map<string, string>()
  #timers: NodeJS.Timeout[] = []
  #nextWalk: NodeJS.Timeout | undefined
  #root: bigint | undefined
  #watcher: FSWatcher | undefined
  #walking: Promise<void> | undefined
  /** While the log is away nothing is read: until when, by the monotonic clock. */
  #restUntil = 0
  #bytes = 0
  #isAway = false
  #isStopped = false

  constructor(bus: Bus, ledger: FileRecords, settings: FolderWatchOptions) {
    this.#bus = bus
    this.#ledger = ledger
    this.#settings = settings
  }

  async start(): Promise<void> {
    const { folder, pace } = this.#settings
    this.#root = await this.#identity()
    const passOver = (path: string) => isHiddenPath(relative(folder, path))
    this.#watcher = watch(folder, {
      ignored: passOver, ignoreInitial: true, followSymlinks: false, atomic: false, ignorePermissionErrors: true,
    }) // biome-ignore format: one line of options
    this.#watcher.on('all', (_, path) => this.#notice(relative(folder, path)))
    this.#watcher.on('error', error => this.#tell('', textOf(error)))
    await new Promise<void>(resolve => this.#watcher!.once('ready', resolve))
    this.#timers = [
      setInterval(() => this.#tick(), tickMs),
      setInterval(() => void this.#ledger.flush().catch(() => {}), pace.flushIntervalMs),
    ]
    this.#walk()
  }

  async stop(cut?: AbortSignal): Promise<void> {
    this.#isStopped = true
    for (const timer of this.#timers) clearInterval(timer)
    clearTimeout(this.#nextWalk)
    await this.#watcher?.close()
    await settledOrAborted(Promise.all([...this.#underWay, this.#walking]), cut)
    // What is not written is read from the log at the next start.
    await settledOrAborted(
      this.#ledger.flush().catch(() => {}),
      cut,
    )
  }

  /** Everything anew: the log has nothing of it. */
  reset(): void {
    this.#ledger.reset()
    this.#walk()
  }

  #notice(path: string): void {
    if (path === '' || isHiddenPath(path) || !this.#settings.isWanted(path)) return
    this.#noticeAs(fileKey(this.#settings.name, path), path)
  }

  #noticeAs(key: string, path: string, isMissing = false): void {
    const noticed = this.#noticed.get(key)
    if (noticed) noticed.again = true
    else this.#noticed.set(key, { key, path, isMissing, since: 0, next: 0, isBusy: false, again: false })
  }

  #walk(): void {
    if (this.#walking || this.#isStopped) return
    clearTimeout(this.#nextWalk)
    const begin = performance.now()
    this.#walking = this.#walkThrough()
      .catch((error: unknown) => this.#tell('', textOf(error)))
      .finally(() => {
        this.#walking = undefined
        if (this.#isStopped) return
        // Of a large folder less often, so that it does not keep the machine busy.
        const pause = Math.max(this.#settings.pace.walkIntervalMs, 10 * (performance.now() - begin))
        this.#nextWalk = setTimeout(() => this.#walk(), pause)
      })
  }

  async #walkThrough(): Promise<void> {
    const { name, folder } = this.#settings
    if (!(await this.#isThere())) return
    const found = new Set<string>()
    let isWhole = true
    const tell = (at: string, why: string) => {
      // A folder that cannot be read: its path is empty or ends with a slash.
      if (at === '' || at.endsWith('/')) isWhole = false
      this.#tell(at, why)
    }
    for await (const path of walkFolder(folder, tell)) {
      if (this.#isStopped) return
      if (!this.#settings.isWanted(path)) continue
      const key = fileKey(name, path)
      found.add(key)
      const row = this.#ledger.get(key)
      if (row && row.path !== path) this.#realPaths.set(key, path)
      if (!row || (await inspectFile(folder, path).catch(() => undefined))?.stamp !== row.stamp) this.#notice(path)
    }
    for (const [key, row] of this.#ledger.entries()) {
      if (row.path === '' || found.has(key)) continue
      const path = this.#realPaths.get(key) ?? row.path
      const isMissing = fileKey(name, path) !== key
      // It cannot be looked for by name, so only a walk through everything tells that it is gone.
      if (isWhole || !isMissing) this.#noticeAs(key, path, isMissing)
    }
  }

  /** Where the folder itself is away, or another one is mounted in its place, its files are not removed. */
  async #isThere(): Promise<boolean> {
    const identity = await this.#identity().catch(() => undefined)
    if (identity === this.#root) this.#told.delete('away')
    else this.#tell('away', `${this.#settings.folder} is not there, or is another folder than it was`)
    return identity === this.#root
  }

  async #identity(): Promise<bigint> {
    const { dev, ino } = await lstat(this.#settings.folder, { bigint: true })
    return (dev << 64n) | ino
  }

  #tick(): void {
    const now = performance.now()
    if (now < this.#restUntil) return
    for (const noticed of this.#noticed.values()) {
      if (this.#underWay.size >= atOnce || this.#isStopped) return
      if (noticed.isBusy || noticed.next > now) continue
      const bytes = Math.min(noticed.seen?.bytes ?? 0, this.#settings.maxBytes)
      if (this.#bytes > 0 && this.#bytes + bytes > bytesAtOnce) continue
      noticed.isBusy = true
      this.#bytes += bytes
      const work = this.#examine(noticed).finally(() => {
        noticed.isBusy = false
        this.#bytes -= bytes
        this.#underWay.delete(work)
        // At once, where more is waiting.
        setImmediate(() => this.#tick())
      })
      this.#underWay.add(work)
    }
  }

  /** Looks once more at what may still change, and takes what does not. */
  async #examine(noticed: Noticed): Promise<void> {
    const { path } = noticed
    const before = noticed.seen
    noticed.again = false
    try {
      const seen = noticed.isMissing ? null : ((await inspectFile(this.#settings.folder, path)) ?? null)
      const now = performance.now()
      if (before === undefined || seen?.stamp !== before?.stamp) {
        noticed.seen = seen
        noticed.since = now
      }
      const needed = noticed.since + this.#neededMs(seen)
      if (now < needed && !this.#isKnown(noticed.key, seen)) noticed.next = needed
      else if (await this.#take(noticed, seen)) this.#done(noticed)
      else noticed.next = 0
    } catch (error) {
      this.#failed(noticed, error)
    }
  }

  #neededMs(seen: FileState | null): number {
    const { stableMs } = this.#settings
    return seen && !seen.isSettled ? stableMs : Math.min(quickMs, stableMs)
  }

  #done(noticed: Noticed): void {
    this.#told.delete(noticed.path)
    if (noticed.again) Object.assign(noticed, { seen: undefined, next: 0 })
    else this.#noticed.delete(noticed.key)
  }

  #isKnown(key: string, seen: FileState | null): boolean {
    return this.#ledger.get(key)?.stamp === seen?.stamp
  }

  /** Publishes what has become of a file. False where it has changed meanwhile. */
  async #take({ key, path, isMissing }: Noticed, seen: FileState | null): Promise<boolean> {
    if (this.#isKnown(key, seen)) return true
    if (seen) return this.#takeWritten(key, path, seen)
    const row = this.#ledger.get(key)!
    if (!(await this.#isRemoved(path, isMissing))) return false
    await this.#ledger.recording(async published => {
      const id = removedId(key, row)
      published((await publishRemoved(this.#bus, this.#settings, id, path)).position)
      this.#ledger.remove(key, id)
      this.#realPaths.delete(key)
    })
    this.#isAway = false
    return true
  }

  /** Not where the folder was away when it was looked for: it is looked for once more while the folder is there. */
  async #isRemoved(path: string, isMissing: boolean): Promise<boolean> {
    const wasThere = await this.#isThere()
    const seen = wasThere && !isMissing && (await inspectFile(this.#settings.folder, path))
    if (wasThere && (await this.#isThere())) return !seen
    this.#restUntil = performance.now() + this.#settings.pace.retryDelayMs
    return false
  }

  async #takeWritten(key: string, path: string, seen: FileState): Promise<boolean> {
    const { folder, maxBytes } = this.#settings
    const content = await readUnchanged(folder, path, seen, maxBytes).catch((error: unknown) => {
      if (isNotFound(error)) return undefined
      throw error
    })
    if (!content) return false
    const row = this.#ledger.get(key)
    // Touched, moved there and back, or seen by an earlier run: what it says is known.
    if (row && recordedDigest(row) === content.digest) {
      this.#ledger.set(key, { ...row, stamp: seen.stamp })
      return true
    }
    const id = writtenId(key, content.digest, seen.stamp, this.#ledger.removalOf(key))
    await this.#ledger.recording(async published => {
      const file = { id, path, isNew: !row, seen, content }
      const { position, path: onLog } = await publishWritten(this.#bus, this.#settings, file)
      published(position)
      this.#ledger.set(key, { path: onLog, id, stamp: seen.stamp })
      if (onLog !== path) this.#realPaths.set(key, path)
    })
    this.#isAway = false
    return true
  }

  /** What the log refuses stays aside until it changes; everything else is tried again. */
  #failed(noticed: Noticed, error: unknown): void {
    const again = performance.now() + this.#settings.pace.retryDelayMs
    noticed.next = again
    if (!(error instanceof TidingsError)) this.#tell(noticed.path, textOf(error))
    else if (refusals.has(error.code)) {
      metrics.refused.add(1, this.#settings.name, error.code)
      this.#tell(noticed.path, error.message)
      this.#noticed.delete(noticed.key)
    } else {
      noticed.next = 0
      this.#restUntil = again
      if (!this.#isAway) this.#warn(`cannot publish now, and tries again: ${error.message}`)
      this.#isAway = true
    }
  }

  /** Once, until it is right again. */
  #tell(path: string, why: string): void {
    if (this.#told.has(path)) return
    if (this.#told.size < mostTold) this.#told.add(path)
    if (path === '' || path === 'away') return this.#warn(why)
    const onLog = pathOnLog(this.#bus, path)
    // Errors of the system quote the path.
    this.#warn(`${JSON.stringify(onLog)}: ${why.replaceAll(path, onLog)}`)
  }

  #warn(text: string): void {
    warn(this.#bus.redactor, `files ${this.#settings.name}: ${text}`)
  }
}

const refusals = new Set(['E_EVENT_INVALID', 'E_EVENT_TOO_LARGE'])
const mostTold = 1_000
