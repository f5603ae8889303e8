import type { Driver } from '../../bus/driver.ts'
import { SqliteDriver } from './driver.ts'
import { openWithWriter, type SqliteOptions, startWriter } from './open.ts'
import { findReadableLog } from './read-only.ts'

export type { SqliteOptions } from './open.ts'

/**
 * Opens the embedded log.
 * @throws E_LOG_UNAVAILABLE, E_LOG_VERSION, E_LOG_INCOMPLETE, E_LOG_REPLACED
 * @example
 * import { openSqlite } from 'tidings/drivers/sqlite'
 * const running = await start(shop, { driver: await openSqlite({ home: '.tidings' }) })
 */
export const openSqlite = (options: SqliteOptions): Promise<Driver> => openWithWriter(options, startWriter)

/**
 * Opens the embedded log for reading only, also in a folder that cannot be written.
 * @throws E_NOT_FOUND, E_LOG_UNAVAILABLE, E_LOG_VERSION, E_LOG_INCOMPLETE
 */
export const openSqliteReadOnly = (home: string): Driver => SqliteDriver.openReadOnly(home, findReadableLog(home))
