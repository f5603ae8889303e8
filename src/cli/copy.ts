import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type CopyPlace, copyLog, undoCopy } from '../bus/copy/copy-log.ts'
import type { CopyProgress } from '../bus/copy/copy-progress.ts'
import { TidingsError } from '../errors.ts'
import { isKnownBus, openDriver } from '../runtime/drivers.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import { countText } from '../trace/text.ts'
import { findAppIfAny, loadApp } from './load-app.ts'
import { printResult, shutdownSignal, usageError, type GlobalOptions } from './output.ts'

export interface CopyCommandOptions extends GlobalOptions {
  from: string
  to?: string
  undo?: boolean
}

/** `tidings copy`: moves a log to another broker, or back. */
export async function copyCommand(options: CopyCommandOptions): Promise<void> {
  const { from, to, undo } = options
  if (to === undefined && !undo) throw usageError('--to is missing: the address of an empty log')
  if (to !== undefined && addressOf(from).text === addressOf(to).text) throw usageError('--from and --to are one log')
  const source = await openPlace(from, true)
  try {
    const target = to === undefined ? undefined : await openPlace(to, undo === true)
    try {
      if (undo) await undoOne(options, source, target)
      else await copyOne(options, source, target!)
    } finally {
      await target?.driver.close()
    }
  } finally {
    await source.driver.close()
  }
}

async function copyOne(options: CopyCommandOptions, from: CopyPlace, to: CopyPlace): Promise<void> {
  const shutdown = shutdownSignal()
  const onProgress = showProgress(options)
  try {
    const copied = await copyLog({ from, to, signal: shutdown, ...(onProgress && { onProgress }) })
    const { events, blobs, digest } = copied
    await printResult(options, { ...copied, verified: true }, [
      `${onProgress ? '\r\u001b[K' : ''}verified: ${countText(events, 'event')} and ${countText(blobs, 'blob')}, sha256 ${digest.slice(0, 16)} on both`,
      `workers may start on ${to.name}; those of ${from.name} are refused`,
    ])
  } catch (error) {
    if (!shutdown.aborted) throw error
    throw new TidingsError('E_COPY_UNVERIFIED', `the copy to "${to.name}" was interrupted`, { cause: error })
  }
}

async function undoOne(options: CopyCommandOptions, from: CopyPlace, to: CopyPlace | undefined): Promise<void> {
  await undoCopy(from, to)
  await printResult(options, { undone: true }, [
    `workers may start on ${from.name} again${to ? `; those of ${to.name} are refused` : ''}`,
  ])
}

/** A line that is rewritten, on a terminal only. */
function showProgress({ json }: GlobalOptions): ((progress: CopyProgress) => void) | undefined {
  if (json || !process.stderr.isTTY) return undefined
  return ({ phase, events, eventsPerSecond, secondsLeft }) => {
    const text = `${phase}: ${countText(events, 'event')}, ${eventsPerSecond} a second, ${secondsLeft} s left`
    process.stderr.write(`\r\u001b[K${text}`)
  }
}

/** `sqlite` is the log in the data folder, `sqlite:FOLDER` one in another folder. */
function addressOf(text: string) {
  const { home } = environment()
  const [bus, place] = text.startsWith('sqlite:') ? ['sqlite', resolve(text.slice('sqlite:'.length))] : [text, home]
  return { bus, home: place, text: bus === 'sqlite' ? `sqlite:${place}` : bus }
}

async function openPlace(text: string, mustExist: boolean): Promise<CopyPlace> {
  const { bus, home } = addressOf(text)
  const file = isKnownBus(bus) ? undefined : findAppIfAny()
  if (file !== undefined) await loadApp(file)
  if (mustExist && bus === 'sqlite' && !existsSync(home))
    throw new TidingsError('E_NOT_FOUND', `there is no log in "${home}"`)
  const driver = await openDriver({ bus, home })
  return { driver, name: bus === 'sqlite' ? `sqlite:${home}` : shownLog({ bus, home }) }
}
