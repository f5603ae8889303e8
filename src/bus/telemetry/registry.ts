/*
 * The metrics of this process, exported as Prometheus text and by OTLP. A series is one combination of label values. An
 * instrument has at most 256 series and counts the rest under `other`, so that names chosen by users cannot exhaust memory
 * or a backend.
 */

const maxSeries = 256
const overflowLabel = 'other'

interface Named {
  /** Dotted, as in OTLP. */
  readonly name: string
  readonly description: string
  /** UCUM, as in OTLP: `s`, or the counted thing in braces. */
  readonly unit: string
  /** Names of labels, two at most. */
  readonly labels: readonly string[]
}

export interface Series<T> {
  /** In the order of the instrument's labels. */
  readonly labels: readonly string[]
  readonly value: T
}

abstract class Instrument<T> implements Named {
  readonly name: string
  readonly description: string
  readonly unit: string
  readonly labels: readonly string[]
  readonly #series: { labels: readonly string[]; value: T }[] = []
  // Nested by first and second label, because a lookup per event must not build a key.
  readonly #index = new Map<string, Map<string, { labels: readonly string[]; value: T }>>()

  constructor({ name, description, unit, labels }: Named) {
    this.name = name
    this.description = description
    this.unit = unit
    this.labels = labels
  }

  get series(): Iterable<Series<T>> {
    return this.#series
  }

  protected at(first: string, second: string, initial: () => T): { value: T } {
    return this.#index.get(first)?.get(second) ?? this.#add(first, second, initial)
  }

  protected forget(): void {
    this.#series.length = 0
    this.#index.clear()
  }

  #add(first: string, second: string, initial: () => T): { value: T } {
    if (this.#series.length >= maxSeries - 1 && first !== overflowLabel)
      return this.at(overflowLabel, second && overflowLabel, initial)
    const made = { labels: [first, second].slice(0, this.labels.length), value: initial() }
    this.#series.push(made)
    const inner = this.#index.get(first) ?? new Map()
    this.#index.set(first, inner.set(second, made))
    return made
  }
}

const zero = () => 0

export class Counter extends Instrument<number> {
  readonly kind = 'counter'

  add(value: number, first = '', second = ''): void {
    this.at(first, second, zero).value += value
  }
}

/** A current value, refreshed before it is exported. */
export class Gauge extends Instrument<number> {
  readonly kind = 'gauge'

  set(value: number, first = '', second = ''): void {
    this.at(first, second, zero).value = value
  }

  clear(): void {
    this.forget()
  }
}

export interface Distribution {
  /** Per bucket, not cumulative. One entry more than `bounds`. */
  readonly counts: number[]
  count: number
  sum: number
}

export class Histogram extends Instrument<Distribution> {
  readonly kind = 'histogram'
  /** Upper bounds, inclusive, ascending. */
  readonly bounds: readonly number[]
  readonly #empty = (): Distribution => ({ counts: Array(this.bounds.length + 1).fill(0), count: 0, sum: 0 })

  constructor(named: Named, bounds: readonly number[]) {
    super(named)
    this.bounds = bounds
  }

  record(value: number, first = '', second = ''): void {
    const { value: held } = this.at(first, second, this.#empty)
    let bucket = 0
    while (bucket < this.bounds.length && value > this.bounds[bucket]!) bucket++
    held.counts[bucket]!++
    held.count++
    held.sum += value
  }
}

export type AnyInstrument = Counter | Gauge | Histogram
