import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

// As in production, where nothing compiles at start.
const compileCache = join(tmpdir(), 'tidings-bench-compile-cache')
const restartMs = 500

/**
 * A process that is started again when it ends, after half a second. For its first restart a spare process has its code loaded already: on a machine
 * that does other work, loading it would take longer than all that is measured.
 */
export class Supervised {
  readonly #file: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  #spare: ChildProcess | undefined
  #isStopped = false
  #isSlow = false

  /** `file`: beside this one. */
  constructor(file: string, args: readonly (string | number)[]) {
    this.#file = join(import.meta.dirname, file)
    this.#args = args.map(String)
  }

  /** Resolves when it serves and the spare process is loaded. */
  async start(): Promise<void> {
    await this.#serve(await this.#load())
    this.#spare = await this.#load()
  }

  kill() {
    this.#child?.kill('SIGKILL')
  }

  /** Makes its tool slow, also after a restart. */
  slow(isSlow: boolean) {
    this.#isSlow = isSlow
    if (this.#child) tell(this.#child, isSlow)
  }

  /** Processor time that it has used, in seconds. On Linux. */
  cpuSeconds(): number {
    // Source: proc_pid_stat(5), utime and stime, in hundredths of a second.
    const [, , , , , , , , , , , utime, stime] = readFileSync(`/proc/${this.#child!.pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return (Number(utime) + Number(stime)) / 100
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#spare?.kill('SIGKILL')
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    if (child.connected) child.disconnect()
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await ended
    clearTimeout(timer)
  }

  async #load(): Promise<ChildProcess> {
    const env = { ...process.env, TIDINGS_LOG_LEVEL: 'silent', NODE_COMPILE_CACHE: compileCache }
    const child = fork(this.#file, this.#args, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    await this.#message(child)
    return child
  }

  async #serve(child: ChildProcess): Promise<void> {
    this.#child = child
    child.once('exit', () => void this.#restart())
    tell(child, this.#isSlow)
    await this.#message(child)
  }

  /** The next message of a process. */
  async #message(child: ChildProcess): Promise<void> {
    await new Promise((resolve, reject) => {
      child.once('message', resolve)
      child.once('exit', code => reject(new Error(`${this.#file} ended with ${code}`)))
    })
  }

  async #restart() {
    await pause(restartMs)
    if (this.#isStopped) return
    const spare = this.#spare
    this.#spare = undefined
    await this.#serve(spare ?? (await this.#load())).catch(() => {})
  }
}

/** A process that is being killed does not hear it. */
const tell = (child: ChildProcess, slow: boolean) => child.send({ slow }, () => {})
