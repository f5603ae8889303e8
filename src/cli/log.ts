import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { isCorrelation, isTaskId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import { environment, openBus, shownLog, type Environment, type OpenOptions } from '../runtime/environment.ts'
import type { Index } from '../trace/index/lookup.ts'
import { inMemory, withIndex } from '../trace/index/open.ts'

/** Opens the log for one command. @throws E_LOG_UNAVAILABLE, E_LOG_VERSION, E_BUS_UNKNOWN */
export async function withLog<T>(use: (bus: Bus) => Promise<T>, options: OpenOptions = {}): Promise<T> {
  const bus = await openBus(environment(), options)
  try {
    return await use(bus)
  } finally {
    await bus.close()
  }
}

/** The same for commands that only make sense on a log that is there. @throws E_NOT_FOUND */
export function withExistingLog<T>(use: (bus: Bus) => Promise<T>, options: OpenOptions = {}): Promise<T> {
  const { bus, home } = environment()
  if (bus === 'sqlite' && !existsSync(home)) throw new TidingsError('E_NOT_FOUND', `there is no log in ${home}`)
  return withLog(use, options)
}

/**
 * Asks the index of the log, once it is up to date; it may ask twice. Where its file cannot be used it is built in memory,
 * which takes as long as the log is: whoever looks into a full disk needs an answer, and is told what is the matter.
 */
export async function queryIndex<T>(bus: Bus, question: (index: Index) => T | Promise<T>): Promise<T> {
  try {
    const file = bus.isReadOnly ? inMemory : indexFile(environment())
    return await withIndex(bus, file, question, progress())
  } catch (error) {
    if (!(error instanceof TidingsError && error.code === 'E_INDEX_UNAVAILABLE')) throw error
    const paint = (style: 'yellow' | 'dim', text: string) => styleText(style, text, { stream: process.stderr })
    process.stderr.write(
      `${paint('yellow', '●')} ${error.message} ${paint('dim', error.code)}\n  for now it is built in memory. ${error.next}\n`,
    )
    return withIndex(bus, inMemory, question, progress())
  }
}

/** The same without going on in memory: for what can be left out. @throws E_INDEX_UNAVAILABLE */
export const queryIndexFile = <T>(bus: Bus, question: (index: Index) => T | Promise<T>): Promise<T> =>
  withIndex(bus, indexFile(environment()), question)

/** The correlation that is meant, see {@link Index.correlation}. @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS */
export async function resolveCorrelation(bus: Bus, text: string): Promise<string> {
  return isCorrelation(text) ? text : queryIndex(bus, index => index.correlation(text))
}

/** The task that is meant, see {@link Index.task}. @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS */
export async function resolveTask(bus: Bus, text: string, program?: string): Promise<string> {
  return isTaskId(text) ? text : queryIndex(bus, index => index.task(text, program))
}

/** Beside the log where that is embedded; of a log elsewhere, under a name that no other log has. */
function indexFile({ bus, home }: Pick<Environment, 'bus' | 'home'>): string {
  const address = shownLog({ bus, home })
  const digest = createHash('sha256').update(address).digest('hex').slice(0, 8)
  const name = bus === 'sqlite' ? 'embedded' : `${address.replace(/[^A-Za-z0-9]+/g, '-').slice(-64)}-${digest}`
  return join(home, 'index', `${name}.db`)
}

const progressDelayMs = 1_000

/** Tells on a terminal how far a long catch-up is. */
function progress() {
  if (!process.stderr.isTTY) return undefined
  const begin = performance.now()
  return (done: number, total: number) => {
    if (performance.now() - begin < progressDelayMs) return
    const text = done < total ? `reading the log into its index: ${Math.floor((done / total) * 100)} %` : ''
    process.stderr.write(`\r\u001b[K${text}`)
  }
}
