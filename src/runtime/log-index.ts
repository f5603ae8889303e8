import { hash } from 'node:crypto'
import { join } from 'node:path'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import type { OnProgress } from '../trace/index/catch-up.ts'
import type { Index } from '../trace/index/lookup.ts'
import { inMemory, withIndex } from '../trace/index/open.ts'
import { shownLog, type Environment } from './environment.ts'

/** Queries the index of a log, once it is up to date. */
export type QueryIndex = <T>(question: (index: Index) => T | Promise<T>) => Promise<T>

interface IndexOptions {
  /** Where the index of the log is; undefined: in memory. */
  readonly file: string | undefined
  readonly onProgress?: OnProgress | undefined
  /** The file cannot be used, as on a full disk, and the index is built in memory. */
  readonly onUnavailable?: (error: TidingsError) => void
}

/** If its file cannot be used, the index is built in memory, which reads the whole log; `question` may then run twice. */
export const indexOf =
  (bus: Bus, { file = inMemory, onProgress, onUnavailable }: IndexOptions): QueryIndex =>
  async question => {
    try {
      return await withIndex(bus, bus.isReadOnly ? inMemory : file, question, onProgress)
    } catch (error) {
      if (!(error instanceof TidingsError && error.code === 'E_INDEX_UNAVAILABLE')) throw error
      onUnavailable?.(error)
      return withIndex(bus, inMemory, question, onProgress)
    }
  }

/** Beside an embedded log; for a log on a broker, under a name that is unique to the log. */
export function indexFile({ bus, home }: Pick<Environment, 'bus' | 'home'>): string {
  const address = shownLog({ bus, home })
  const digest = hash('sha256', address, 'hex').slice(0, 8)
  const name = bus === 'sqlite' ? 'embedded' : `${address.replace(/[^A-Za-z0-9]+/g, '-').slice(-64)}-${digest}`
  return join(home, 'index', `${name}.db`)
}
