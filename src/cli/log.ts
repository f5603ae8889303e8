import { existsSync } from 'node:fs'
import { styleText } from 'node:util'
import type { Bus, BusOptions } from '../bus/bus.ts'
import { isCorrelation, isTaskId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import { isKnownBus } from '../runtime/drivers.ts'
import { indexFile } from '../runtime/log-index.ts'
import { environment, openBus, type OpenOptions } from '../runtime/environment.ts'
import type { Index } from '../trace/index/lookup.ts'
import { indexOf, withIndex, type QueryIndex } from '../trace/index/open.ts'
import { findAppIfAny, loadApp } from './load-app.ts'

export interface OpenLogOptions extends OpenOptions, Pick<BusOptions, 'events' | 'redactor'> {
  /** The app file that may register the driver. Default: that of the working folder. */
  app?: string | undefined
}

/**
 * Opens the log. If the scheme of its address is not built in, the app file is loaded first, which may register a driver for it.
 * @throws E_LOG_UNAVAILABLE, E_LOG_VERSION, E_BUS_UNKNOWN, E_APP_INVALID
 */
export async function openLog({ app, ...options }: OpenLogOptions = {}): Promise<Bus> {
  const settings = environment()
  const file = isKnownBus(settings.bus) ? undefined : (app ?? findAppIfAny())
  if (file !== undefined) await loadApp(file)
  return openBus(settings, options)
}

/** Opens the log for one command. @throws as {@link openLog} */
export async function withLog<T>(use: (bus: Bus) => Promise<T>, options: OpenLogOptions = {}): Promise<T> {
  const bus = await openLog(options)
  try {
    return await use(bus)
  } finally {
    await bus.close()
  }
}

/** Like {@link withLog}, for commands that need an existing log. @throws E_NOT_FOUND */
export function withExistingLog<T>(use: (bus: Bus) => Promise<T>, options: OpenLogOptions = {}): Promise<T> {
  const { bus, home } = environment()
  if (bus === 'sqlite' && !existsSync(home))
    throw new TidingsError('E_NOT_FOUND', `there is no log in "${home}"`, {
      next: 'Start a worker, or choose another folder with --home or TIDINGS_HOME.',
    })
  return withLog(use, options)
}

/** Queries the index of the log, once it is up to date, or one in memory if its file cannot be used. */
export function queryIndex<T>(bus: Bus, question: (index: Index) => T | Promise<T>): Promise<T> {
  return indexOf(bus, { file: indexFile(environment()), onProgress: progress(), onUnavailable: printUnavailable })(
    question,
  )
}

function printUnavailable(error: TidingsError) {
  const paint = (style: 'yellow' | 'dim', text: string) => styleText(style, text, { stream: process.stderr })
  process.stderr.write(
    `${paint('yellow', '●')} ${error.message} ${paint('dim', error.code)}\n  It is built in memory for now. ${error.next}\n`,
  )
}

/** {@link queryIndex} of this log. */
export const queryIndexOf =
  (bus: Bus): QueryIndex =>
  question =>
    queryIndex(bus, question)

/** Like {@link queryIndex}, without the fallback to memory. @throws E_INDEX_UNAVAILABLE */
export const queryIndexFile = <T>(bus: Bus, question: (index: Index) => T | Promise<T>): Promise<T> =>
  withIndex(bus, indexFile(environment()), question)

/** The correlation that `text` names, see {@link Index.correlation}. @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS */
export async function resolveCorrelation(bus: Bus, text: string): Promise<string> {
  return isCorrelation(text) ? text : queryIndex(bus, index => index.correlation(text))
}

/** The task that `text` names, see {@link Index.task}. @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS */
export async function resolveTask(bus: Bus, text: string, program?: string): Promise<string> {
  return isTaskId(text) ? text : queryIndex(bus, index => index.task(text, program))
}

const progressDelayMs = 1_000

/** Shows the progress of a long catch-up, on a terminal only. */
function progress() {
  if (!process.stderr.isTTY) return undefined
  const begin = performance.now()
  return (done: number, total: number) => {
    if (performance.now() - begin < progressDelayMs) return
    const text = done < total ? `reading the log into its index: ${Math.floor((done / total) * 100)} %` : ''
    process.stderr.write(`\r\u001b[K${text}`)
  }
}
