/** Reads once what several ask for at about the same time, and again when that is older than the time to live. */
export class SharedReading<T> {
  readonly #read: (key: string) => Promise<T>
  readonly #ttlMs: number
  readonly #readings = new Map<string, { readonly at: number; readonly value: Promise<T> }>()

  constructor(ttlMs: number, read: (key: string) => Promise<T>) {
    this.#ttlMs = ttlMs
    this.#read = read
  }

  get(key: string): Promise<T> {
    const now = performance.now()
    for (const [old, { at }] of this.#readings) if (now - at > this.#ttlMs) this.#readings.delete(old)
    const known = this.#readings.get(key)
    if (known) return known.value
    const value = this.#read(key)
    this.#readings.set(key, { at: now, value })
    // A failure is not kept.
    value.catch(() => this.#readings.delete(key))
    return value
  }
}
