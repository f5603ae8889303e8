import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { tell } from './tell.js'

if (isMainThread) new Worker(new URL(import.meta.url), { workerData: process.argv.slice(2) })
else console.log(await tell(...workerData))
