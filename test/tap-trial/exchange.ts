import { EventEmitter, once } from 'node:events'
import type { Call } from './call.ts'

/** What the server saw of a request. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly headers: readonly string[]
  body: Buffer
  trailers: readonly string[]
  /** Whether it came to its end. */
  isWhole: boolean
  /** The connection ended before the response. */
  wasLeft: boolean
}

/** One call on its way, as its client and the server see it: both are in this process, so that they can wait for each other. */
export class Exchange {
  readonly call: Call
  /** Requests with the header of this call: one, if all is well. */
  readonly seen: SeenRequest[] = []
  /** Bytes of the request that the server has, and of the response that the client has. */
  uploaded = 0
  downloaded = 0
  isOver = false
  /** The tap was killed while the call was in flight. */
  wasCut = false
  /** When the client had all of it. */
  endedAt = Infinity
  /** What somebody waited for in vain. */
  readonly heldBack: string[] = []
  readonly #changes = new EventEmitter()

  constructor(call: Call) {
    this.call = call
    this.#changes.setMaxListeners(0)
  }

  changed(): void {
    this.#changes.emit('change')
  }

  /** Waits until it holds, or the exchange is over. */
  async until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
    const signal = AbortSignal.timeout(withinMs)
    try {
      while (!holds() && !this.isOver) await once(this.#changes, 'change', { signal })
    } catch (error) {
      if (!signal.aborted) throw error
      this.heldBack.push(what)
    }
  }

  over(): void {
    this.isOver = true
    this.endedAt = performance.now()
    this.changed()
  }
}
