import { randomUUIDv7 } from 'node:crypto'
import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, posix, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { assertCustomType } from '../../bus/admit.ts'
import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { aDuration, anObject, anything, aText, checkOptions, type Check } from '../../options.ts'
import { milliseconds, type Duration } from '../../tasks/duration.ts'
import { FileRecords } from './records.ts'
import type { FileTypes } from './publish.ts'
import type { WatchIntervals } from './watch.ts'
import { assertTriggerName, type Trigger } from '../trigger.ts'

/** Which folder the trigger watches, and what it publishes. */
export interface FilesOptions {
  /** It must exist when the trigger starts. */
  folder: string
  /** Which files: `*.csv` in the folder itself, with `**` and a slash in front also in its subfolders. Default all. */
  match?: string
  /** How long a file must stay unchanged until it counts as finished. Default two seconds. */
  stable?: Duration
  /** Larger files are published without their content. In bytes, default 10 MiB. */
  maxBytes?: number
  /** Types of your own instead of `file.created` and `file.changed`, by pattern; the first match counts. */
  types?: FileTypes
}

type Checks = Record<keyof FilesOptions, Check>
const checks: Checks = { folder: aText, match: aText, stable: aDuration, maxBytes: anything, types: anObject }

const defaultIntervals: WatchIntervals = { walkIntervalMs: 30_000, retryDelayMs: 5_000, flushIntervalMs: 10_000 }

/**
 * Publishes changes of the files in a folder and its subfolders, with their content: `file.created`, `file.changed`,
 * `file.removed`. Changes while no worker runs are published at the next start. `docs/triggers/files.md` says when a file
 * counts as finished, and what is skipped.
 * @throws E_APP_INVALID, E_EVENT_INVALID
 * @example files('inbox', { folder: './inbox', match: '*.csv' })
 */
export function files(name: string, options: FilesOptions, intervals: WatchIntervals = defaultIntervals): Trigger {
  assertTriggerName(name)
  checkOptions(`files "${name}"`, options, checks, ['folder'])
  const { match = '**', stable = '2s', maxBytes = 10 * 1024 * 1024, types = {} } = options
  const folder = resolve(options.folder)
  const stableMs = milliseconds(stable)
  if (!(maxBytes >= 0))
    throw new TidingsError('E_APP_INVALID', `maxBytes of files "${name}" must be a number of bytes, 0 or more`)
  const custom = Object.values(types).map(({ type }) => type)
  for (const type of custom) assertCustomType(type)
  const published = [...new Set([...custom, ...builtInTypes])]
  return {
    kind: 'trigger',
    name,
    types: published,
    address: pathToFileURL(folder).href,
    sendSample: (bus, signal) => dropSample(bus, { name, folder, match }, signal),
    start: async bus => {
      const root = await openFolder(name, folder)
      const records = new FileRecords(bus, name)
      await records.load(published)
      const options = { name, folder: root, types, match, stableMs, maxBytes, intervals }
      const { FolderWatcher } = await import('./watch.ts')
      const watcher = new FolderWatcher(bus, records, options)
      await watcher.start()
      return { address: pathToFileURL(root).href, stop: abort => watcher.stop(abort) }
    },
  }
}

const builtInTypes = ['file.created', 'file.changed', 'file.removed']

/** The real path of the folder. @throws E_SETTING_INVALID */
async function openFolder(name: string, folder: string): Promise<string> {
  try {
    const root = await realpath(folder)
    if ((await stat(root)).isDirectory()) return root
  } catch (cause) {
    const problem = `folder "${folder}" of files "${name}": ${(cause as Error).message}`
    throw new TidingsError('E_SETTING_INVALID', problem, { cause })
  }
  throw new TidingsError('E_SETTING_INVALID', `"${folder}" of files "${name}" is not a folder`)
}

/** Creates a file, and removes it when its event is on the log. */
async function dropSample(
  bus: Bus,
  { name, folder, match }: { name: string; folder: string; match: string },
  signal = new AbortController().signal,
) {
  const path = match.replace('**/', '').replace('**', '*').replace('*', `tidings-sample-${randomUUIDv7()}`)
  if (path.includes('/') || !posix.matchesGlob(path, match))
    throw new TidingsError(
      'E_USAGE',
      `no sample name matches "${match}"; put a matching file into "${folder}" yourself`,
    )
  const head = await bus.head()
  const sample = join(folder, path)
  // Hidden until it is complete.
  const temporary = join(folder, `.${path}`)
  await writeFile(temporary, 'Created by tidings trigger test, which removes it.\n')
  await rename(temporary, sample)
  try {
    for await (const { event } of bus.follow(head, undefined, signal))
      if (event.source === `/triggers/${name}` && event.subject === path) return
  } finally {
    await rm(sample, { force: true })
  }
}
