/*
 * Numbers of this process, kept once and shown twice: as Prometheus text and by OTLP. A series is one combination of
 * label values; an instrument holds at most 256 of them, and what comes beyond is counted under `other`, so that neither
 * memory nor a backend grows with names that users make up.
 */

const maxSeries = 256
const overflowLabel = 'other'

interface Named {
  /** Dotted, as OTLP has it. */
  readonly name: string
  readonly description: string
  /** UCUM, as OTLP has it: `s`, or in braces what is counted. */
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
  // By the first label and then by the second: looked up for every event, without making a key.
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
  /** Per bucket, not cumulative; one more than there are bounds. */
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
