import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { catchUp, type OnProgress } from './catch-up.ts'
import { LiveIndex } from './live.ts'
import { Index } from './lookup.ts'
import { indexError, isCorrupt, openTables, removeFile } from './schema.ts'

export { inMemory } from './schema.ts'

/** Queries the index of a log, once it is up to date. */
export type QueryIndex = <T>(question: (index: Index) => T | Promise<T>) => Promise<T>

interface IndexOptions {
  /** Where the index of the log is; undefined: in memory. */
  readonly file?: string | undefined
  readonly onProgress?: OnProgress | undefined
  /** The file cannot be used, as on a full disk, and the index is built in memory. */
  readonly onUnavailable?: (error: TidingsError) => void
}

/**
 * The index of a log, for any number of questions. If its file cannot be used, it is built in memory, which reads the whole log once;
 * a question may then run twice.
 */
export function indexOf(bus: Bus, { file, onProgress, onUnavailable }: IndexOptions = {}): QueryIndex {
  const memory = new LiveIndex(bus, { onProgress }).query
  if (file === undefined || bus.isReadOnly) return memory
  return async question => {
    try {
      return await withIndex(bus, file, question, onProgress)
    } catch (error) {
      if (!(error instanceof TidingsError && error.code === 'E_INDEX_UNAVAILABLE')) throw error
      onUnavailable?.(error)
      return memory(question)
    }
  }
}

/**
 * Updates the index in a file, or in memory (`inMemory`), to the head of the log and queries it. Writes nothing to the log. Deletes and rebuilds a corrupt file; the
 * query may then run twice. @throws E_INDEX_UNAVAILABLE, E_LOG_UNAVAILABLE
 */
export async function withIndex<T>(
  bus: Bus,
  file: string,
  ask: (index: Index) => T | Promise<T>,
  onProgress?: OnProgress,
): Promise<T> {
  for (let isSecond = false; ; isSecond = true) {
    try {
      using db = openTables(file)
      await catchUp(bus, db, onProgress)
      return await ask(new Index(db, bus.partitions))
    } catch (error) {
      if (isSecond || !isCorrupt(error)) throw indexError(error, file)
      removeFile(file)
    }
  }
}
