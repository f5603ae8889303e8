import { setTimeout as pause } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import { TidingsError, toTidingsError } from '../errors.ts'

const [minRetryMs, maxRetryMs] = [250, 5_000]

export interface LogLinkOptions {
  /** Opens the log. Repeated until it succeeds. */
  readonly open: () => Promise<Bus>
  /** Writes to the log, every `renewMs` and until the log is back after an outage. */
  readonly renew: (bus: Bus) => Promise<void>
  readonly renewMs: number
  /** The log went away, or is there: at first, or again. */
  readonly onChange: () => void
}

/** A log that may go away and come back. What wants to write waits meanwhile, and one probe finds out when it is back. */
export class LogLink {
  readonly #options: LogLinkOptions
  readonly #stopping = new AbortController()
  #bus: Bus | undefined
  /** Undefined before the log was opened, and while it works. */
  #problem: TidingsError | undefined
  #isThere = false
  #back = Promise.withResolvers<void>()
  #lost = Promise.withResolvers<void>()
  #retryMs = minRetryMs
  #running: Promise<void> | undefined

  constructor(options: LogLinkOptions) {
    this.#options = options
  }

  get isThere(): boolean {
    return this.#isThere
  }

  /** Why the log cannot be written. */
  get problem(): TidingsError | undefined {
    return this.#problem
  }

  /** Resolves after the first attempt to open the log. */
  async start(): Promise<void> {
    await this.#probe()
    this.#running = this.#keepProbing()
  }

  /** What waits for the log ends without it. Resolves with the log, if it is there. */
  async stop(): Promise<Bus | undefined> {
    this.#stopping.abort()
    this.#back.resolve()
    await this.#running
    return this.#isThere ? this.#bus : undefined
  }

  /**
   * Does work on the log, and does it again when the log is back if it went away meanwhile; undefined if this link is stopped before.
   * @throws what is not an error of the log
   */
  async use<T>(work: (bus: Bus) => T | Promise<T>): Promise<T | undefined> {
    for (;;) {
      while (!this.#isThere && !this.#stopping.signal.aborted) await this.#back.promise
      if (this.#stopping.signal.aborted) return undefined
      try {
        const done = await work(this.#bus!)
        this.#retryMs = minRetryMs
        return done
      } catch (thrown) {
        if (!isOfLog(thrown)) throw thrown
        this.#setLost(thrown)
      }
    }
  }

  /** Does work on the log if that is there; undefined if it is not. */
  async tryUse<T>(work: (bus: Bus) => Promise<T>): Promise<T | undefined> {
    if (!this.#isThere) return undefined
    try {
      return await work(this.#bus!)
    } catch (thrown) {
      if (!isOfLog(thrown)) throw thrown
      this.#setLost(thrown)
      return undefined
    }
  }

  async #keepProbing(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      if (this.#isThere) await Promise.race([this.#sleep(this.#options.renewMs), this.#lost.promise])
      if (!this.#isThere) {
        await this.#sleep(this.#retryMs)
        this.#retryMs = Math.min(2 * this.#retryMs, maxRetryMs)
      }
      if (!signal.aborted) await this.#probe()
    }
  }

  #sleep(ms: number): Promise<void> {
    return pause(ms, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => {})
  }

  async #probe(): Promise<void> {
    try {
      this.#bus ??= await this.#options.open()
      await this.#options.renew(this.#bus)
    } catch (thrown) {
      return this.#setLost(toTidingsError(thrown, 'E_LOG_UNAVAILABLE'))
    }
    if (this.#isThere || this.#stopping.signal.aborted) return
    this.#isThere = true
    this.#problem = undefined
    this.#lost = Promise.withResolvers()
    this.#back.resolve()
    this.#options.onChange()
  }

  #setLost(error: TidingsError): void {
    if ((this.#problem && !this.#isThere) || this.#stopping.signal.aborted) return
    this.#problem = error
    if (this.#isThere) this.#back = Promise.withResolvers()
    this.#isThere = false
    this.#lost.resolve()
    this.#options.onChange()
  }
}

const isOfLog = (thrown: unknown): thrown is TidingsError =>
  thrown instanceof TidingsError && /^E_(LOG|BUS)_/.test(thrown.code)
