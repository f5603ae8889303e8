import { Worker } from 'node:worker_threads'
import type { Driver } from '../../bus/driver.ts'
import { openWithWriter, type SqliteOptions } from '../../drivers/sqlite/open.ts'
import type { CommitFailures } from './commit-failures.ts'
import type { FaultyWorkerData } from './faulty-worker.ts'
import type { WriterFaults } from './faulty-writer.ts'

/** Which guarantees an embedded log does not have. */
export interface SqliteFaults extends Omit<WriterFaults, 'commits'> {
  readonly commits?: CommitFailures
}

/** Opens the embedded log without some of its guarantees, to prove that a test detects it. */
export function openFaultySqlite(sqlite: SqliteOptions, { commits, ...faults }: SqliteFaults): Promise<Driver> {
  const entry = import.meta.url.endsWith('.ts') ? './faulty-worker.ts' : './faulty-worker.js'
  return openWithWriter(sqlite, options => {
    const workerData: FaultyWorkerData = { options, faults: { ...faults, commits: commits?.cells } }
    return new Worker(new URL(entry, import.meta.url), { workerData })
  })
}
