import type { Bus } from '../../bus/bus.ts'
import { catchUp, type OnProgress } from './catch-up.ts'
import { Index } from './lookup.ts'
import { indexError, isCorrupt, openTables, removeFile } from './schema.ts'

export { inMemory } from './schema.ts'

/**
 * Updates the index in a file, or in memory (`inMemory`), to the head of the log and queries it. Writes nothing to the log. Deletes and
 * rebuilds a corrupt file; the query may then run twice. @throws E_INDEX_UNAVAILABLE, E_LOG_UNAVAILABLE
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
