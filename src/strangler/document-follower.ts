import type { Bus } from '../bus/bus.ts'
import { ensureAnnounced, readStrangler, refreshType, type StranglerDocument } from './control.ts'

const pollIntervalMs = 1_000
/** A reading that takes longer counts as failed. */
const maxReadMs = 3_000
/** By then, the process that decided has published its decision, unless it died. */
const announceDelayMs = 3_000

/** The newest document of a strangler, as this process knows it. A signal announces a change, and polling makes up for a lost signal. */
export class DocumentFollower {
  readonly #bus: Bus
  readonly #name: string
  #document: StranglerDocument
  #isAway = false
  #since = performance.now()
  #reading: Promise<void> | undefined
  #stop: (() => void) | undefined

  constructor(bus: Bus, name: string, document: StranglerDocument) {
    this.#bus = bus
    this.#name = name
    this.#document = document
  }

  /** While the log is away, the last one. */
  get document(): StranglerDocument {
    return this.#document
  }

  /** Whether the log could not be read at the last attempt. */
  get isAway(): boolean {
    return this.#isAway
  }

  /** How long this process has known the version, in ms. */
  get ageMs(): number {
    return performance.now() - this.#since
  }

  /** The log refused something because it is away: until it can be read, nothing else is tried. */
  noteAway(): void {
    this.#isAway = true
  }

  start(): void {
    const unsubscribe = this.#bus.onSignal([{ types: [refreshType] }], ({ subject }) => {
      if (subject === this.#name) void this.read()
    })
    const timer = setInterval(() => void this.read(), pollIntervalMs)
    timer.unref()
    this.#stop = () => {
      unsubscribe()
      clearInterval(timer)
    }
  }

  stop(): void {
    this.#stop?.()
  }

  read(): Promise<void> {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  async #read(): Promise<void> {
    // After pending callbacks, so that a busy process does not count as an absent log.
    const slow = setTimeout(() => setImmediate(() => (this.#isAway = this.#reading !== undefined)), maxReadMs)
    try {
      const document = await readStrangler(this.#bus, this.#name)
      this.#isAway = false
      if (!document || document.version === this.#document.version) return
      this.#document = document
      this.#since = performance.now()
      setTimeout(() => void ensureAnnounced(this.#bus, document).catch(() => {}), announceDelayMs).unref()
    } catch {
      this.#isAway = true
    } finally {
      clearTimeout(slow)
    }
  }
}
