import { StatusError } from './http.ts'

/**
 * Admits so many tasks at once. Others wait in a short queue, and are refused when it is full or when they could not be done in time. On Tidings `maxUnfinished`
 * of the agent does that.
 */
export class Admission {
  readonly #max: number
  readonly #waiting: { readonly deadline: number; readonly admit: (isAdmitted: boolean) => void }[] = []
  #running = 0
  /** How long a task takes, as a moving average. */
  #taskMs = 3_000

  constructor(max: number) {
    this.#max = max
  }

  /** @throws StatusError 503 */
  async run<T>(deadline: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(deadline, signal)
    const begin = Date.now()
    try {
      const result = await work()
      this.#taskMs += (Date.now() - begin - this.#taskMs) / 20
      return result
    } finally {
      this.#running--
      this.#next()
    }
  }

  async #enter(deadline: number, signal: AbortSignal): Promise<void> {
    if (!this.#isInTime(deadline) || (this.#running >= this.#max && this.#waiting.length >= this.#max)) throw refusal()
    if (this.#running < this.#max) this.#running++
    else if (!(await new Promise<boolean>(admit => this.#waiting.push({ deadline, admit })))) throw refusal()
    if (!signal.aborted) return
    this.#running--
    this.#next()
    throw refusal()
  }

  #next() {
    const next = this.#running < this.#max ? this.#waiting.shift() : undefined
    if (!next) return
    const isInTime = this.#isInTime(next.deadline)
    if (isInTime) this.#running++
    next.admit(isInTime)
    if (!isInTime) this.#next()
  }

  #isInTime(deadline: number): boolean {
    return Date.now() + this.#taskMs < deadline
  }
}

const refusal = () => new StatusError(503, 'too much to do', 2_000)
