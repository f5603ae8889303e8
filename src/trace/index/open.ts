import type { Bus } from '../../bus/bus.ts'
import { catchUp, type Progress } from './catch-up.ts'
import { Index } from './lookup.ts'
import { indexError, isCorrupt, openTables, removeFile } from './schema.ts'

export { inMemory } from './schema.ts'

/**
 * Brings the index in this file up to the head of the log, or one in memory (`inMemory`), and asks it. Nothing is written to the
 * log. A file that is no sound index is thrown away; what is asked may then be asked twice.
 * @throws E_INDEX_UNAVAILABLE, E_LOG_UNAVAILABLE
 */
export async function withIndex<T>(
  bus: Bus,
  file: string,
  ask: (index: Index) => T | Promise<T>,
  onProgress?: Progress,
): Promise<T> {
  for (let isSecond = false; ; isSecond = true) {
    try {
      return await once(bus, file, ask, onProgress)
    } catch (error) {
      if (isSecond || !isCorrupt(error)) throw indexError(error, file)
      removeFile(file)
    }
  }
}

async function once<T>(
  bus: Bus,
  file: string,
  ask: (index: Index) => T | Promise<T>,
  onProgress?: Progress,
): Promise<T> {
  const db = openTables(file)
  try {
    await catchUp(bus, db, onProgress)
    return await ask(new Index(db))
  } finally {
    db.close()
  }
}
