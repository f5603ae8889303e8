import type { Driver } from '../../bus/driver.ts'
import { type Faults, toWire } from './faults.ts'
import { SqliteDriver } from './driver.ts'
import { assertNobodyHasAnother } from './presence.ts'
import { readableLog } from './read-only.ts'
import { prepareHome } from './schema.ts'

export { type Faults, FailingCommits } from './faults.ts'

export interface SqliteOptions {
  /** Folder of the log, its blobs, its doorbell. Made where it does not exist. */
  home: string
  /** Number of shards of a new log; an existing log keeps its own. */
  shards?: number
  /** How long a process that stopped beating keeps its shards and claims, unless it is seen to be dead. */
  leaseMs?: number
  /** `off` for benchmarks only: a power cut then loses the newest events. */
  synchronous?: 'full' | 'off'
  /** For tests only: a wall clock that can be set. */
  clock?: { readonly offset: SharedArrayBuffer }
  /** For tests only. */
  faults?: Faults
}

/** Opens the embedded log. @throws E_LOG_UNAVAILABLE, E_LOG_VERSION, E_LOG_INCOMPLETE, E_LOG_REPLACED */
export async function openSqlite(options: SqliteOptions): Promise<Driver> {
  const { home, leaseMs = 15_000, synchronous = 'full', clock, faults } = options
  assertNobodyHasAnother(home)
  const facts = prepareHome(home, options.shards ?? 16)
  const driver = SqliteDriver.open({
    home,
    ...facts,
    leaseMs,
    synchronous,
    clock: clock?.offset ?? null,
    faults: toWire(faults),
  })
  try {
    await driver.durability()
  } catch (error) {
    await driver.close()
    throw error
  }
  return driver
}

/** Opens the embedded log to be read only: also one in a folder that cannot be written. @throws as {@link openSqlite}, E_NOT_FOUND */
export function openSqliteReadOnly(home: string): Driver {
  return SqliteDriver.openReadOnly(home, readableLog(home))
}
