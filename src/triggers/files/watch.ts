import { lstat } from 'node:fs/promises'
import { posix, relative } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'
import type { Bus } from '../../bus/bus.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { settledOrAborted } from '../../bus/abort.ts'
import { metrics } from '../../bus/telemetry/metrics.ts'
import { textOf, TidingsError } from '../../errors.ts'
import { recordedDigest, fileKey, type FileRecords, removedId, writtenId } from './records.ts'
import { isHiddenPath, inspectFile, readUnchanged, type FileState, walkFolder } from './file-system.ts'
import { pathOnLog, type WatchedFolder, publishRemoved, publishWritten } from './publish.ts'

/*
 * Changes are found in two ways. The system reports them, through chokidar, which is fast. A periodic walk of the folder also
 * finds changes before the start and notifications that the system dropped. A changed file is polled until it is stable,
 * then read and published, a few files at a time.
 */

interface FolderWatchOptions extends WatchedFolder {
  /** A pattern of the paths to publish. */
  readonly match: string
  /** How long a file must stay unchanged until it counts as finished. */
  readonly stableMs: number
  readonly maxBytes: number
  readonly intervals: WatchIntervals
}

export interface WatchIntervals {
  readonly walkIntervalMs: number
  /** After a file could not be read or published. */
  readonly retryDelayMs: number
  /** How often changed records are written. */
  readonly flushIntervalMs: number
}

/** A file that may have changed. */
interface PendingFile {
  readonly key: string
  readonly path: string
  /** Only its redacted name is known, and a walk did not find it. */
  readonly isMissing: boolean
  /** The last state: undefined before the first look, null if there is no file. */
  state?: FileState | null
  /** Since when it has this state, by the monotonic clock. */
  since: number
  /** When to look at it next, by the monotonic clock. */
  next: number
  isBusy: boolean
  /** Changed while it was being examined. */
  changedMeanwhile: boolean
}

const maxConcurrent = 32
/** A single file may be larger. */
const maxConcurrentBytes = 32 * 1024 * 1024
/** The wait for files that are complete at once: moved here, or removed. */
const settledDelayMs = 100
const pollIntervalMs = 25

export class FolderWatcher {
  readonly #bus: Bus
  readonly #records: FileRecords
  readonly #options: FolderWatchOptions
  readonly #pending = new Map<string, PendingFile>()
  readonly #inProgress = new Set<Promise<void>>()
  readonly #warned = new Set<string>()
  /** By key: real paths that the records have only in redacted form, as far as this process has seen them. */
  readonly #realPaths = new Map<string, string>()
  #timers: NodeJS.Timeout[] = []
  #nextWalk: NodeJS.Timeout | undefined
  #rootIdentity: bigint | undefined
  #watcher: FSWatcher | undefined
  #currentWalk: Promise<void> | undefined
  /** Files are not examined before this time, by the monotonic clock, while the log or the folder is unavailable. */
  #pausedUntil = 0
  #bytes = 0
  #isLogUnavailable = false
  #isStopped = false
  #unsubscribe: (() => void) | undefined

  constructor(bus: Bus, records: FileRecords, options: FolderWatchOptions) {
    this.#bus = bus
    this.#records = records
    this.#options = options
  }

  async start(): Promise<void> {
    const { folder, intervals } = this.#options
    this.#rootIdentity = await this.#identity()
    const ignored = (path: string) => isHiddenPath(relative(folder, path))
    this.#watcher = watch(folder, {
      ignored, ignoreInitial: true, followSymlinks: false, atomic: false, ignorePermissionErrors: true,
    }) // biome-ignore format: one line of options
    this.#watcher.on('all', (_, path) => this.#enqueue(relative(folder, path)))
    this.#watcher.on('error', error => this.#warnOnce('', textOf(error)))
    await new Promise<void>(resolve => this.#watcher!.once('ready', resolve))
    this.#timers = [
      setInterval(() => this.#tick(), pollIntervalMs),
      setInterval(() => void this.#records.flush().catch(() => {}), intervals.flushIntervalMs),
    ]
    // A log that is empty now gets everything.
    this.#unsubscribe = this.#bus.onEmptied(() => {
      this.#records.reset()
      this.#walk()
    })
    this.#walk()
  }

  async stop(abort?: AbortSignal): Promise<void> {
    this.#isStopped = true
    this.#unsubscribe?.()
    for (const timer of this.#timers) clearInterval(timer)
    clearTimeout(this.#nextWalk)
    await this.#watcher?.close()
    await settledOrAborted(Promise.all([...this.#inProgress, this.#currentWalk]), abort)
    // Records that are not written are read from the log at the next start.
    const flushed = this.#records.flush().catch(() => {})
    await settledOrAborted(flushed, abort)
  }

  #enqueue(path: string): void {
    if (path === '' || isHiddenPath(path) || !this.#isWanted(path)) return
    this.#enqueueAs(fileKey(this.#options.name, path), path)
  }

  #isWanted(path: string): boolean {
    return posix.matchesGlob(path, this.#options.match)
  }

  #enqueueAs(key: string, path: string, isMissing = false): void {
    const pending = this.#pending.get(key)
    if (pending) pending.changedMeanwhile = true
    else this.#pending.set(key, { key, path, isMissing, since: 0, next: 0, isBusy: false, changedMeanwhile: false })
  }

  #walk(): void {
    if (this.#currentWalk || this.#isStopped) return
    clearTimeout(this.#nextWalk)
    const begin = performance.now()
    this.#currentWalk = this.#walkThrough()
      .catch((error: unknown) => this.#warnOnce('', textOf(error)))
      .finally(() => {
        this.#currentWalk = undefined
        if (this.#isStopped) return
        // Large folders are walked less often, to limit the load.
        const pause = Math.max(this.#options.intervals.walkIntervalMs, 10 * (performance.now() - begin))
        this.#nextWalk = setTimeout(() => this.#walk(), pause)
      })
  }

  async #walkThrough(): Promise<void> {
    const { name, folder } = this.#options
    if (!(await this.#isFolderPresent())) return
    const found = new Set<string>()
    let isComplete = true
    const warnOnce = (at: string, why: string) => {
      // The path of a folder that cannot be read is empty or ends with a slash.
      if (at === '' || at.endsWith('/')) isComplete = false
      this.#warnOnce(at, why)
    }
    for await (const path of walkFolder(folder, warnOnce)) {
      if (this.#isStopped) return
      if (!this.#isWanted(path)) continue
      const key = fileKey(name, path)
      found.add(key)
      const row = this.#records.get(key)
      if (row && row.path !== path) this.#realPaths.set(key, path)
      if (!row || (await inspectFile(folder, path).catch(() => undefined))?.stamp !== row.stamp) this.#enqueue(path)
    }
    for (const [key, row] of this.#records.entries()) {
      if (row.path === '' || found.has(key)) continue
      const path = this.#realPaths.get(key) ?? row.path
      const isMissing = fileKey(name, path) !== key
      // Without its real name, only a complete walk shows that the file is gone.
      if (isComplete || !isMissing) this.#enqueueAs(key, path, isMissing)
    }
  }

  /** False if the folder itself is missing or replaced: then its files do not count as removed. */
  async #isFolderPresent(): Promise<boolean> {
    const isPresent = (await this.#identity().catch(() => undefined)) === this.#rootIdentity
    const { folder } = this.#options
    if (isPresent) this.#warned.delete('away')
    else
      this.#warnOnce(
        'away',
        `${folder} is missing or was replaced by another folder; put it back or restart the worker`,
      )
    return isPresent
  }

  async #identity(): Promise<bigint> {
    const { dev, ino } = await lstat(this.#options.folder, { bigint: true })
    return (dev << 64n) | ino
  }

  #tick(): void {
    const now = performance.now()
    if (now < this.#pausedUntil) return
    for (const pending of this.#pending.values()) {
      if (this.#inProgress.size >= maxConcurrent || this.#isStopped) return
      if (pending.isBusy || pending.next > now) continue
      const bytes = Math.min(pending.state?.bytes ?? 0, this.#options.maxBytes)
      if (this.#bytes > 0 && this.#bytes + bytes > maxConcurrentBytes) continue
      pending.isBusy = true
      this.#bytes += bytes
      const work = this.#examine(pending).finally(() => {
        pending.isBusy = false
        this.#bytes -= bytes
        this.#inProgress.delete(work)
        setImmediate(() => this.#tick())
      })
      this.#inProgress.add(work)
    }
  }

  /** Publishes the file if it is stable, else schedules the next look. */
  async #examine(pending: PendingFile): Promise<void> {
    const { path } = pending
    const before = pending.state
    pending.changedMeanwhile = false
    try {
      const state = pending.isMissing ? null : ((await inspectFile(this.#options.folder, path)) ?? null)
      const now = performance.now()
      if (before === undefined || state?.stamp !== before?.stamp) {
        pending.state = state
        pending.since = now
      }
      const stableAt = pending.since + this.#stabilityMs(state)
      if (now < stableAt && !this.#isRecorded(pending.key, state)) pending.next = stableAt
      else if (await this.#publishChange(pending, state)) this.#complete(pending)
      else pending.next = 0
    } catch (error) {
      this.#handleFailure(pending, error)
    }
  }

  #stabilityMs(state: FileState | null): number {
    const { stableMs } = this.#options
    return state && !state.isSettled ? stableMs : Math.min(settledDelayMs, stableMs)
  }

  #complete(pending: PendingFile): void {
    this.#warned.delete(pending.path)
    if (pending.changedMeanwhile) Object.assign(pending, { state: undefined, next: 0 })
    else this.#pending.delete(pending.key)
  }

  #isRecorded(key: string, state: FileState | null): boolean {
    return this.#records.get(key)?.stamp === state?.stamp
  }

  async #publishChange({ key, path, isMissing }: PendingFile, state: FileState | null): Promise<boolean> {
    if (this.#isRecorded(key, state)) return true
    if (state) return this.#publishWritten(key, path, state)
    const row = this.#records.get(key)!
    if (!(await this.#isGone(path, isMissing))) return false
    await this.#records.recording(async published => {
      const id = removedId(key, row)
      published((await publishRemoved(this.#bus, this.#options, id, path)).position)
      this.#records.remove(key, id)
      this.#realPaths.delete(key)
    })
    this.#isLogUnavailable = false
    return true
  }

  /** Checks the folder before and after the file, so that a missing folder does not look like a removed file. */
  async #isGone(path: string, isMissing: boolean): Promise<boolean> {
    const wasThere = await this.#isFolderPresent()
    const state = wasThere && !isMissing && (await inspectFile(this.#options.folder, path))
    if (wasThere && (await this.#isFolderPresent())) return !state
    this.#pausedUntil = performance.now() + this.#options.intervals.retryDelayMs
    return false
  }

  async #publishWritten(key: string, path: string, state: FileState): Promise<boolean> {
    const { folder, maxBytes } = this.#options
    const content = await readUnchanged(folder, path, state, maxBytes)
    if (!content) return false
    const row = this.#records.get(key)
    // The content is published already: it was touched, moved away and back, or published by an earlier run.
    if (row && recordedDigest(row) === content.digest) {
      this.#records.set(key, { ...row, stamp: state.stamp })
      return true
    }
    const id = writtenId(key, content.digest, state.stamp, this.#records.removalOf(key))
    await this.#records.recording(async published => {
      const file = { id, path, isNew: !row, state, content }
      const { position, path: onLog } = await publishWritten(this.#bus, this.#options, file)
      published(position)
      this.#records.set(key, { path: onLog, id, stamp: state.stamp })
      if (onLog !== path) this.#realPaths.set(key, path)
    })
    this.#isLogUnavailable = false
    return true
  }

  /** A file that the log rejects is skipped until it changes; other failures are retried. */
  #handleFailure(pending: PendingFile, error: unknown): void {
    const retryAt = performance.now() + this.#options.intervals.retryDelayMs
    pending.next = retryAt
    if (!(error instanceof TidingsError)) this.#warnOnce(pending.path, textOf(error))
    else if (refusals.has(error.code)) {
      metrics.refused.add(1, this.#options.name, error.code)
      this.#warnOnce(pending.path, error.message)
      this.#pending.delete(pending.key)
    } else {
      pending.next = 0
      this.#pausedUntil = retryAt
      if (!this.#isLogUnavailable) this.#warn(`cannot publish now, and will retry: ${error.message}`)
      this.#isLogUnavailable = true
    }
  }

  /** Warns once per path, until the problem is solved. */
  #warnOnce(path: string, why: string): void {
    if (this.#warned.has(path)) return
    if (this.#warned.size < maxWarnings) this.#warned.add(path)
    if (path === '' || path === 'away') return this.#warn(why)
    const onLog = pathOnLog(this.#bus, path)
    // System errors quote the path.
    this.#warn(`${JSON.stringify(onLog)}: ${why.replaceAll(path, onLog)}`)
  }

  #warn(text: string): void {
    warn(this.#bus.redactor, `files ${this.#options.name}: ${text}`)
  }
}

const refusals = new Set(['E_EVENT_INVALID', 'E_EVENT_TOO_LARGE'])
const maxWarnings = 1_000
