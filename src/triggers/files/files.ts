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
  /** It must be there when the trigger starts. */
  folder: string
  /** Only these: `*.csv` in the folder itself, `**` and a slash in front for those traceparentFor it too. Default all. */
  match?: string
  /** How long a file must stay as it is until it counts as finished. Default two seconds. */
  stable?: Duration
  /** Content of larger files is not stored: their events have no blob. In bytes, default 10 MiB. */
  maxBytes?: number
  /** Types of your own in place of `file.created` and `file.changed`, by pattern; the first that matches counts. */
  types?: FileTypes
}

const checks = { folder: aText, match: aText, stable: aDuration, maxBytes: anything, types: anObject } satisfies Record<
  keyof FilesOptions,
  Check
>

const usual: WatchIntervals = { walkIntervalMs: 30_000, retryDelayMs: 5_000, flushIntervalMs: 10_000 }

/**
 * Publishes what becomes of the files in a folder and traceparentFor, with their content: `file.created`, `file.changed`,
 * `file.removed`. What happened while nobody looked comes at the next start. `docs/triggers/files.md` says what counts as
 * finished, and what is passed over. @throws E_APP_INVALID, E_EVENT_INVALID
 */
export function files(name: string, options: FilesOptions, pace: WatchIntervals = usual): Trigger {
  assertTriggerName(name)
  checkOptions(`files "${name}"`, options, checks, ['folder'])
  const { match = '**', stable = '2s', maxBytes = 10 * 1024 * 1024, types = {} } = options
  const folder = resolve(options.folder)
  const stableMs = milliseconds(stable)
  if (!(maxBytes >= 0)) throw new TidingsError('E_APP_INVALID', `maxBytes of files ${name} is no number of bytes`)
  for (const { type } of Object.values(types)) assertCustomType(type)
  const isWanted = (path: string) => matchesGlob(match, path)
  return {
    kind: 'trigger',
    name,
    types: [...new Set([...Object.values(types).map(({ type }) => type), ...plainTypes])],
    address: pathToFileURL(folder).href,
    sendSample: (bus, signal) => knock(bus, name, folder, isWanted, match, signal),
    start: async bus => {
      const root = await openFolder(name, folder)
      const ledger = new FileRecords(bus, name)
      await ledger.load([...plainTypes, ...Object.values(types).map(({ type }) => type)])
      const watching = new FolderWatcher(bus, ledger, { name, folder: root, types, isWanted, stableMs, maxBytes, pace })
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

const plainTypes = ['file.created', 'file.changed', 'file.removed']

/** The folder without links on the way to it. @throws E_SETTING_INVALID */
async function openFolder(name: string, folder: string): Promise<string> {
  try {
    const root = await realpath(folder)
    if ((await stat(root)).isDirectory()) return root
  } catch (cause) {
    throw new TidingsError('E_SETTING_INVALID', `folder ${folder} of files ${name}: ${(cause as Error).message}`, {
      cause,
    })
  }
  throw new TidingsError('E_SETTING_INVALID', `${folder}, of files ${name}, is no folder`)
}

/** Drops a file, and removes it when it was seen. */
async function knock(
  bus: Bus,
  name: string,
  folder: string,
  isWanted: (path: string) => boolean,
  match: string,
  signal = new AbortController().signal,
) {
  const path = match.replace('**/', '').replace('**', '*').replace('*', `tidings-knock-${randomUUIDv7()}`)
  if (path.includes('/') || !isWanted(path))
    throw new TidingsError('E_USAGE', `a file that matches "${match}" must be dropped by hand into ${folder}`)
  const after = await bus.head()
  const dropped = join(folder, path)
  // Hidden until it is whole.
  const hidden = join(folder, `.${path}`)
  await writeFile(hidden, 'Dropped by tidings trigger test, and removed again.\n')
  await rename(hidden, dropped)
  try {
    for await (const { event } of bus.follow(after, undefined, signal))
      if (event.source === `/triggers/${name}` && event.subject === path) return
  } finally {
    await rm(dropped, { force: true })
  }
}
