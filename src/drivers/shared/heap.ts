/** What is due first comes out first. */
export class Heap<T> {
  readonly #items: { at: number; value: T }[] = []

  get size(): number {
    return this.#items.length
  }

  /** When the first is due; Infinity when there is none. */
  get next(): number {
    return this.#items[0]?.at ?? Infinity
  }

  push(at: number, value: T): void {
    const items = this.#items
    items.push({ at, value })
    for (let i = items.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1
      if (items[parent]!.at <= items[i]!.at) return
      this.#swap(i, parent)
      i = parent
    }
  }

  pop(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (!first || !last) return undefined
    if (items.length === 0) return first.value
    items[0] = last
    for (let i = 0; ; ) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < items.length && items[child]!.at < items[least]!.at) least = child
      if (least === i) return first.value
      this.#swap(i, least)
      i = least
    }
  }

  #swap(a: number, b: number): void {
    const items = this.#items
    const held = items[a]!
    items[a] = items[b]!
    items[b] = held
  }
}
