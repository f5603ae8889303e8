import { randomUUIDv7 } from 'node:crypto'
import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { assertCustomType } from '../../bus/admit.ts'
import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { aDuration, anObject, anything, aText, checkOptions, type Check } from '../../options.ts'
import { milliseconds, type Duration } from '../../tasks/duration.ts'
import { FileRecords } from './records.ts'
import { type FileTypes, matchesGlob } from './publish.ts'
import { FolderWatcher, type WatchIntervals } from './watch.ts'
import { assertTriggerName } from '../name.ts'
import type { RunningTrigger, Trigger } from '../trigger.ts'

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

const checks = { folder: aText, match: aText, stable: aDuration, maxBytes: anything, types: anObject } satisfies Record<
  keyof FilesOptions,
  Check
>

const defaultIntervals: WatchIntervals = { walkIntervalMs: 30_000, retryDelayMs: 5_000, flushIntervalMs: 10_000 }

/**
 * Publishes changes of the files in a folder and its subfolders, with their content: `file.created`, `file.changed`,
 * `file.removed`. Changes while no worker runs are published at the next start. `docs/triggers/files.md` says when a file
 * counts as finished, and what is skipped. @throws E_APP_INVALID, E_EVENT_INVALID
 */
export function files(name: string, options: FilesOptions, intervals: WatchIntervals = defaultIntervals): Trigger {
  assertTriggerName(name)
  checkOptions(`files "${name}"`, options, checks, ['folder'])
  const { match = '**', stable = '2s', maxBytes = 10 * 1024 * 1024, types = {} } = options
  const folder = resolve(options.folder)
  const stableMs = milliseconds(stable)
  if (!(maxBytes >= 0))
    throw new TidingsError('E_APP_INVALID', `maxBytes of files "${name}" must be a number of bytes, 0 or more`)
  for (const { type } of Object.values(types)) assertCustomType(type)
  const isWanted = (path: string) => matchesGlob(match, path)
  return {
    kind: 'trigger',
    name,
    types: [...new Set([...Object.values(types).map(({ type }) => type), ...builtInTypes])],
    address: pathToFileURL(folder).href,
    sendSample: (bus, signal) => dropSample(bus, name, folder, isWanted, match, signal),
    start: async bus => {
      const root = await openFolder(name, folder)
      const ledger = new FileRecords(bus, name)
      await ledger.load([...builtInTypes, ...Object.values(types).map(({ type }) => type)])
      const watching = new FolderWatcher(bus, ledger, {
        name,
        folder: root,
        types,
        isWanted,
        stableMs,
        maxBytes,
        intervals,
      })
      await watching.start()
      const ignore = bus.onEmptied(() => watching.reset())
      return {
        address: pathToFileURL(root).href,
        stop: async cut => {
          ignore?.()
          await watching.stop(cut)
        },
      } satisfies RunningTrigger
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
    throw new TidingsError('E_SETTING_INVALID', `folder "${folder}" of files "${name}": ${(cause as Error).message}`, {
      cause,
    })
  }
  throw new TidingsError('E_SETTING_INVALID', `"${folder}" of files "${name}" is not a folder`)
}

/** Creates a file, and removes it when its event is on the log. */
async function dropSample(
  bus: Bus,
  name: string,
  folder: string,
  isWanted: (path: string) => boolean,
  match: string,
  signal = new AbortController().signal,
) {
  const path = match.replace('**/', '').replace('**', '*').replace('*', `tidings-sample-${randomUUIDv7()}`)
  if (path.includes('/') || !isWanted(path))
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
