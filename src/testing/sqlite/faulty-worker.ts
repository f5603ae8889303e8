import { workerData } from 'node:worker_threads'
import type { WriterOptions } from '../../drivers/sqlite/protocol.ts'
import { WriterThread } from '../../drivers/sqlite/writer/thread.ts'
import { FaultyWriter, type WriterFaults } from './faulty-writer.ts'

export interface FaultyWorkerData {
  readonly options: WriterOptions
  readonly faults: WriterFaults
}

const { options, faults } = workerData as FaultyWorkerData
new WriterThread(options, () => new FaultyWriter(options, faults))
