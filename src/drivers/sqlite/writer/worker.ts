import { workerData } from 'node:worker_threads'
import type { WriterOptions } from '../protocol.ts'
import { LogWriter } from './log-writer.ts'
import { WriterThread } from './thread.ts'

const options = workerData as WriterOptions
new WriterThread(options, () => new LogWriter(options))
