import { Worker } from 'node:worker_threads'
import type { Driver } from '../../bus/driver.ts'
import { SqliteDriver } from './driver.ts'
import { assertNoOtherLogOpen } from './open-logs.ts'
import type { WriterOptions } from './protocol.ts'
import { prepareHome } from './schema.ts'

/** Where the embedded log is, and how it is written. */
export interface SqliteOptions {
  /** Folder of the log and its blobs. It is created if it does not exist. */
  home: string
  /** Number of shards of a new log; an existing log keeps its own. */
  shards?: number
  /** How long a process whose heartbeat stopped keeps its shards and claims; if it is seen to be dead, it loses them at once. */
  leaseMs?: number
  /** `off` for benchmarks only: a power failure then loses the newest events. */
  synchronous?: 'full' | 'off'
  /** For tests only: a wall clock that can be set. */
  clock?: { readonly offset: SharedArrayBuffer }
}

/** `startWriter`: tests pass one whose writer has faults. */
export async function openWithWriter(
  { home, shards = 16, leaseMs = 15_000, synchronous = 'full', clock }: SqliteOptions,
  startWriter: (options: WriterOptions) => Worker,
): Promise<Driver> {
  assertNoOtherLogOpen(home)
  const identity = prepareHome(home, shards)
  const options = { home, ...identity, leaseMs, synchronous, clock: clock?.offset ?? null }
  const driver = SqliteDriver.open(options, startWriter)
  try {
    await driver.durability()
  } catch (error) {
    await driver.close()
    throw error
  }
  return driver
}

export function startWriter(options: WriterOptions): Worker {
  const entry = import.meta.url.endsWith('.ts') ? './writer/worker.ts' : './writer/worker.js'
  return new Worker(new URL(entry, import.meta.url), { workerData: options })
}
