/** How long to go on after the last look, so that a page that asks every few seconds sees no gap. */
const idleMs = 60_000

/** Does something while somebody looks at its result, and for a minute after that. */
export class WhileLooked {
  readonly #start: () => () => void
  #stop: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined

  /** `start` returns what ends it. */
  constructor(start: () => () => void) {
    this.#start = start
  }

  /** Somebody looks now. */
  look(): void {
    this.#stop ??= this.#start()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#stop?.()
      this.#stop = undefined
    }, idleMs).unref()
  }
}
