import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readdir, readFile } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { promisify } from 'node:util'
import { until } from './wait.ts'

/*
 * A child process that ends with its parent, even after SIGKILL. A shell beside it reads from a pipe whose other end only
 * the parent has. A line means that the child has ended and its process id may have been reused; the end of the pipe
 * without a line means that the parent is gone.
 */
const watched = `
  (if ! read -r _ <&3; then kill -KILL $$; [ -z "$REMOVE" ] || rm -rf "$REMOVE"; fi) >/dev/null 2>&1 &
  exec "$@" 3<&-`

export interface Child {
  readonly pid: number
  /** Resolves when it has ended. */
  readonly ended: Promise<void>
  running(): boolean
  signal(signal: NodeJS.Signals): void
  /** SIGSTOP: its connections stay open and get no answers. Resolves when all its threads are stopped. */
  pause(): Promise<void>
  /** SIGCONT. */
  resume(): void
  /** Ends it with a signal, also if it is paused, and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** SIGTERM, and SIGKILL if that takes longer. Waits for the end. */
  end(withinMs: number): Promise<void>
}

interface ChildOptions {
  /** File for its output. */
  log: string
  /** Truncates the log. */
  truncate: boolean
  /** A folder to remove when the parent is gone. */
  remove: string | undefined
}

/** Detached, so that Ctrl-C reaches only the parent, which stops its children in order. */
export async function startChild(command: readonly string[], options: ChildOptions): Promise<Child> {
  await using log = await open(options.log, options.truncate ? 'w' : 'a')
  const child = spawn('/bin/sh', ['-c', watched, 'sh', ...command], {
    stdio: ['ignore', log.fd, log.fd, 'pipe'],
    env: { ...process.env, REMOVE: options.remove ?? '' },
    detached: true,
  })
  const lifeline = child.stdio[3] as Writable
  lifeline.on('error', () => {})
  const ended = once(child, 'exit').then(() => void lifeline.end('\n'))
  const running = () => child.exitCode === null && child.signalCode === null
  const pid = child.pid!
  const signal = (name: NodeJS.Signals) => void child.kill(name)
  const resume = () => signal('SIGCONT')
  const kill = (name: NodeJS.Signals) => {
    signal(name)
    // A stopped process would receive the signal only later.
    resume()
    return ended
  }
  const pause = async () => {
    signal('SIGSTOP')
    await until(() => isStopped(pid))
  }
  const end = async (withinMs: number) => {
    const impatient = setTimeout(() => signal('SIGKILL'), withinMs)
    await kill('SIGTERM')
    clearTimeout(impatient)
  }
  return { pid, ended, running, signal, pause, resume, kill, end }
}

/** Whether a SIGSTOP has arrived, on Linux at each of its threads. */
async function isStopped(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=', '-p', String(pid)])
    return stdout.trim().startsWith('T')
  }
  const threads = await readdir(`/proc/${pid}/task`)
  const stats = await Promise.all(threads.map(thread => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8')))
  return stats.every(stat => /\) T /.test(stat))
}
