import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { styleText } from 'node:util'
import { dim } from '../trace/paint.ts'
import { watchCode } from './watch-code.ts'
import { envWithoutFile } from './env-file.ts'
import { FailurePrinter, watchAttention } from './dev-failures.ts'
import { findApp, displayPath } from './load-app.ts'
import { firstLines } from './first-commands.ts'
import type { ReadyMessage } from './run.ts'
import { TypeCheck } from './type-check.ts'
import { openLog } from './log.ts'
import { printResult, shutdownSignal, type GlobalOptions } from './output.ts'
import { printEvents } from './tail.ts'

// Work in progress may end before a restart; the new worker continues the rest from the log.
const stopGraceMs = 10_000

export async function devCommand(path: string | undefined, options: GlobalOptions): Promise<void> {
  const shutdown = shutdownSignal()
  const file = findApp(path)
  const bus = await openLog({ app: file })
  const failures = new FailurePrinter(bus)
  const printing = Promise.all([
    printEvents(bus, await bus.head(), options, shutdown, event => failures.linesOf(event)),
    watchAttention(bus, options, shutdown),
  ])
  const folder = dirname(file)
  const changed = watchCode(folder, shutdown)
  const types = TypeCheck.of(folder, options)
  let worker = startWorker(file, options)
  const printNext = ({ next }: ReadyMessage) =>
    void printResult(options, { event: 'next', commands: next }, firstLines(next))
  worker.once('message', printNext as (message: unknown) => void)
  types?.start()
  try {
    await printResult(options, { event: 'watching', folder }, [
      dim(`watching ${displayPath(folder)}; press Ctrl-C to stop`),
    ])
    for await (const name of changed) {
      await printResult(options, { event: 'changed', file: name }, [`${styleText('cyan', '↻')} ${name} changed`])
      await stopWorker(worker)
      worker = startWorker(file, options)
      types?.start()
    }
  } finally {
    types?.stop()
    await stopWorker(worker)
    await printing
    await bus.close()
  }
}

/** Runs the app in a child process, so that a restart loads the changed code. */
function startWorker(file: string, options: GlobalOptions): ChildProcess {
  const args = [process.argv[1]!, 'run', file, ...(options.json ? ['--json'] : [])]
  const worker = spawn(process.execPath, args, {
    env: envWithoutFile(),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  worker.once('exit', (code, signal) => {
    // A killed process cannot report that itself.
    const why = signal === null ? '' : ` (killed by ${signal})`
    void printResult(options, { event: 'failed', code, ...(signal !== null && { signal }) }, [
      dim(`the app is not running${why}; waiting for the next change`),
    ])
  })
  return worker
}

/** Closes the IPC channel instead of sending a signal: Ctrl-C already reached the child, and a second signal would exit at once. */
async function stopWorker(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  worker.removeAllListeners('exit')
  const gone = once(worker, 'exit')
  if (worker.connected) worker.disconnect()
  const timer = setTimeout(() => worker.kill('SIGKILL'), stopGraceMs)
  await gone
  clearTimeout(timer)
}
