import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { styleText } from 'node:util'
import { environment, openBus } from '../runtime/environment.ts'
import { dim } from '../trace/text.ts'
import { changes } from './changes.ts'
import { ownEnvironment } from './env-file.ts'
import { Failures, watchAttention } from './failures.ts'
import { findApp, shown } from './load-app.ts'
import { answer, untilAsked, type Globals } from './out.ts'
import { show } from './tail.ts'

// What is under way may end before a restart; what takes longer is taken up again from the log.
const graceMs = 10_000

/** `tidings dev [APP]` */
export async function dev(path: string | undefined, options: Globals): Promise<void> {
  const asked = untilAsked()
  const file = findApp(path)
  const bus = await openBus(environment())
  const failures = new Failures(bus)
  const seen = Promise.all([
    show(bus, await bus.driver.head(), options, asked, event => failures.linesOf(event)),
    watchAttention(bus, options, asked),
  ])
  const folder = dirname(file)
  const changed = changes(folder, asked)
  let worker = launch(file, options)
  try {
    await answer(options, { event: 'watching', folder }, [dim(`watching ${shown(folder)}; Ctrl-C ends`)])
    for await (const name of changed) {
      await answer(options, { event: 'changed', file: name }, [`${styleText('cyan', '↻')} ${name} changed`])
      await end(worker)
      worker = launch(file, options)
    }
  } finally {
    await end(worker)
    await seen
    await bus.driver.close()
  }
}

/** The app in a process of its own, so that it starts anew with its code. */
function launch(file: string, options: Globals): ChildProcess {
  const args = [process.argv[1]!, 'run', file, ...(options.json ? ['--json'] : [])]
  const worker = spawn(process.execPath, args, {
    env: ownEnvironment(),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  worker.once('exit', (code, signal) => {
    // A process that was killed says nothing itself.
    const why = signal === null ? '' : ` (killed by ${signal})`
    void answer(options, { event: 'failed', code, ...(signal !== null && { signal }) }, [
      dim(`the app does not run${why}; waiting for the next change`),
    ])
  })
  return worker
}

/** By the channel and not by a signal: Ctrl-C reaches the whole group, and a second signal means at once. */
async function end(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  worker.removeAllListeners('exit')
  const gone = once(worker, 'exit')
  if (worker.connected) worker.disconnect()
  const timer = setTimeout(() => worker.kill('SIGKILL'), graceMs)
  await gone
  clearTimeout(timer)
}
