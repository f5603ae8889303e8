import { fork, type ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { TidingsError, type ErrorCode } from '../errors.ts'
import type { StoredEvent } from '../bus/driver.ts'
import { permissions } from './isolation.ts'
import { progressPipe, type FromProcess, type TurnProgress, type ToProcess } from './messages.ts'

const batchEvents = 256
// Number of batches in flight before the sender waits for the process.
const maxQueuedBatches = 4
const loadTimeoutMs = 60_000
const stderr = 2

export interface ProcessOptions {
  readonly module: string
  readonly stuck: readonly string[]
  readonly turnTimeoutMs: number
}

type Finished = Extract<FromProcess, { kind: 'outcome' }>

// A process in an endless loop does not notice that its parent has ended.
const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach(child => child.kill('SIGKILL')))

/** A turn that did not end, or ended its process. */
export class StuckTurn extends Error {
  readonly progress: TurnProgress

  constructor(message: string, progress: TurnProgress) {
    super(message)
    this.progress = progress
  }
}

/** A process that replays. The output of the app goes to standard error. */
export class ReplayProcess {
  readonly #child: ChildProcess
  readonly #timeoutMs: number
  #events: StoredEvent[] = []
  #isLoaded = false
  /** Messages sent and not yet processed. */
  #pending = 0
  #ready: (() => void) | undefined
  /** The last complete progress line, and the beginning of the next one. */
  #progress = ''
  #timer: NodeJS.Timeout | undefined
  readonly #finished = Promise.withResolvers<Finished>()
  readonly #failed = Promise.withResolvers<never>()

  constructor({ module, stuck, turnTimeoutMs }: ProcessOptions) {
    this.#timeoutMs = turnTimeoutMs
    this.#child = fork(new URL(`./process-main${import.meta.url.slice(-3)}`, import.meta.url), {
      execArgv: [...permissions, ...process.execArgv.filter(option => !option.startsWith('--inspect'))],
      serialization: 'advanced',
      stdio: ['ignore', stderr, stderr, 'ipc', 'pipe'],
    })
    running.add(this.#child)
    this.#failed.promise.catch(() => {})
    this.#child.on('error', error => this.#failed.reject(error))
    this.#child.on('message', (message: FromProcess) => this.#onMessage(message))
    this.#child.on('close', (code, signal) => this.#fail(`the app ended the process: ${signal ?? `exit code ${code}`}`))
    const pipe = this.#child.stdio[progressPipe] as Readable
    pipe.setEncoding('utf8').on('data', (text: string) => this.#onProgress(text))
    this.#post({ kind: 'load', module, stuck })
  }

  add(item: StoredEvent): Promise<void> | undefined {
    this.#events.push(item)
    return this.#events.length >= batchEvents ? this.#flush() : undefined
  }

  /** Waits while the process has too many messages in flight. */
  async send(message: ToProcess): Promise<void> {
    if (message.kind !== 'events' && this.#events.length > 0) await this.#flush()
    while (this.#pending >= maxQueuedBatches)
      await Promise.race([new Promise<void>(resolve => (this.#ready = resolve)), this.#failed.promise])
    this.#post(message)
  }

  async finish(): Promise<Finished> {
    await this.send({ kind: 'finish' })
    return Promise.race([this.#finished.promise, this.#failed.promise])
  }

  end(): void {
    clearTimeout(this.#timer)
    running.delete(this.#child)
    this.#child.removeAllListeners().on('error', () => {})
    this.#child.kill('SIGKILL')
  }

  #flush(): Promise<void> {
    const events = this.#events
    this.#events = []
    return this.send({ kind: 'events', events })
  }

  #post(message: ToProcess): void {
    this.#pending++
    this.#restartTimer()
    // If the process is gone, the `close` event reports it.
    this.#child.send(message, () => {})
  }

  #onMessage(message: FromProcess): void {
    if (message.kind === 'outcome') return this.#finished.resolve(message)
    if (message.kind === 'failed')
      return this.#failed.reject(new TidingsError(message.error.code as ErrorCode, message.error.message))
    this.#isLoaded = true
    this.#pending--
    this.#restartTimer()
    this.#ready?.()
  }

  #onProgress(text: string): void {
    const lines = (this.#progress + text).split('\n')
    this.#progress = lines.slice(-2).join('\n')
    this.#restartTimer()
  }

  /** Every message and progress line restarts the timeout while work is pending. */
  #restartTimer(): void {
    clearTimeout(this.#timer)
    if (this.#pending === 0) return
    const timeoutMs = this.#isLoaded ? this.#timeoutMs : Math.max(loadTimeoutMs, this.#timeoutMs)
    const what = this.#isLoaded ? 'the turn did not end' : 'the app did not load'
    this.#timer = setTimeout(() => this.#fail(`${what} within ${timeoutMs / 1_000} s`), timeoutMs)
  }

  #fail(why: string): void {
    this.#child.kill('SIGKILL')
    const end = this.#progress.indexOf('\n')
    const progress = end > 0 ? (JSON.parse(this.#progress.slice(0, end)) as TurnProgress) : undefined
    this.#failed.reject(progress ? new StuckTurn(why, progress) : new TidingsError('E_APP_INVALID', why))
  }
}
