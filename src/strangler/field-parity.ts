import { isPair, outcomeField, type DifferingField, type LaneComparison } from './comparison.ts'
import { holm, pairedDifference, signTest, wilson, type Interval } from './statistics.ts'

/**
 * What the differences of a field mean. `noise`: `old` differs from itself as often. `suspect`: not often enough for a finding, and `old` never
 * differed from itself. `tolerated`: a finding below the limit. `difference`: nothing was repeated, so that noise is unknown. The last two fail a report.
 */
export type FieldVerdict = 'noise' | 'suspect' | 'tolerated' | 'difference' | 'regression'

/** A difference that a person can look at. */
export interface DifferenceExample extends Omit<DifferingField, 'path'> {
  /** Of the request. */
  readonly correlationid: string
  /** Of the candidate's answer. */
  readonly candidate: string
}

/** What is known of one field. */
export interface FieldParity {
  readonly path: string
  /** Comparisons in which the field could differ. */
  readonly compared: number
  readonly differed: number
  /** Those with a repeated answer of `old`. */
  readonly triples: number
  /** How many of them the repeated answer differed in. */
  readonly noise: number
  /** How many of them only the candidate, or only the repeated answer, differed in. */
  readonly onlyCandidate: number
  readonly onlyRepeat: number
  /** How much more often the candidate differs than `old` from itself, with 95 % of confidence; without repetitions, how often it differs. */
  readonly excess: number
  readonly interval: Interval
  /** How likely this is by chance alone, adjusted for the number of fields; absent without repetitions. */
  readonly p?: number
  readonly verdict: FieldVerdict
  readonly examples: readonly DifferenceExample[]
}

/** A finding is due to chance alone in at most one of ten thousand reports, however many fields they have. */
export const reportAlpha = 0.0001
const maxExamples = 3

interface FieldTally {
  differed: number
  noise: number
  onlyCandidate: number
  onlyRepeat: number
  readonly examples: DifferenceExample[]
}

interface Totals {
  compared: number
  triples: number
}

/** Adds up comparisons, field by field. */
export class FieldParities {
  readonly #fields = new Map<string, FieldTally>()
  /** Of all comparisons, and of those in which both sides answered. */
  readonly #all: Totals = { compared: 0, triples: 0 }
  readonly #pairs: Totals = { compared: 0, triples: 0 }

  get pairs(): number {
    return this.#pairs.compared
  }

  get triples(): number {
    return this.#pairs.triples
  }

  add(comparison: LaneComparison, correlationid: string): void {
    const { differences, repeat, candidate } = comparison
    // Where an answer failed, its fields were not compared.
    const isCompared = (path: string) => path === outcomeField || (!candidate.error && !repeat?.error)
    const noise = comparison.noise?.filter(({ path }) => isCompared(path))
    this.#all.compared++
    if (noise) this.#all.triples++
    if (isPair(comparison)) {
      this.#pairs.compared++
      if (noise && !repeat?.error) this.#pairs.triples++
    }
    const noisy = new Set(noise?.map(({ path }) => path))
    for (const { path, ...values } of differences) {
      const tally = this.#of(path)
      tally.differed++
      if (noise && isCompared(path) && !noisy.has(path)) tally.onlyCandidate++
      if (tally.examples.length < maxExamples && !noisy.has(path))
        tally.examples.push({ correlationid, candidate: candidate.correlationid, ...values })
    }
    const differing = new Set(differences.map(({ path }) => path))
    for (const path of noisy) {
      const tally = this.#of(path)
      tally.noise++
      if (!differing.has(path)) tally.onlyRepeat++
    }
  }

  /** Every field that ever differed, failures first. `tolerated`: the excess that counts as parity, from 0 to 1. */
  result(tolerated: number): FieldParity[] {
    const tallies = [...this.#fields]
    const adjusted = holm(tallies.map(([, { onlyCandidate, onlyRepeat }]) => signTest(onlyCandidate, onlyRepeat)))
    const fields = tallies.map(([path, tally], i) => this.#parity(path, tally, adjusted[i]!, tolerated))
    return fields.toSorted(
      (a, b) =>
        order.indexOf(a.verdict) - order.indexOf(b.verdict) || b.excess - a.excess || (a.path < b.path ? -1 : 1),
    )
  }

  #parity(path: string, tally: FieldTally, adjusted: number, tolerated: number): FieldParity {
    const { compared, triples } = path === outcomeField ? this.#all : this.#pairs
    const { differed, noise, onlyCandidate, onlyRepeat, examples } = tally
    const isRepeated = triples > 0
    const excess = isRepeated ? (onlyCandidate - onlyRepeat) / triples : differed / Math.max(1, compared)
    const verdict = isRepeated
      ? verdictOf({ p: adjusted, excess, noise, differed, tolerated })
      : excess > tolerated
        ? 'difference'
        : 'tolerated'
    return {
      path,
      compared,
      differed,
      triples,
      noise,
      onlyCandidate,
      onlyRepeat,
      excess,
      interval: isRepeated ? pairedDifference(onlyCandidate, onlyRepeat, triples) : wilson(differed, compared),
      ...(isRepeated && { p: adjusted }),
      verdict,
      examples,
    }
  }

  #of(path: string): FieldTally {
    const known = this.#fields.get(path)
    if (known) return known
    const tally = { differed: 0, noise: 0, onlyCandidate: 0, onlyRepeat: 0, examples: [] }
    this.#fields.set(path, tally)
    return tally
  }
}

const order: readonly FieldVerdict[] = ['regression', 'difference', 'suspect', 'tolerated', 'noise']

interface Evidence {
  readonly p: number
  readonly excess: number
  readonly noise: number
  readonly differed: number
  readonly tolerated: number
}

function verdictOf({ p, excess, noise, differed, tolerated }: Evidence): FieldVerdict {
  if (p <= reportAlpha) return excess > tolerated ? 'regression' : 'tolerated'
  return noise === 0 && differed > 0 ? 'suspect' : 'noise'
}

/** Whether a verdict fails a report. */
export const isFailingVerdict = (verdict: FieldVerdict): boolean => verdict === 'regression' || verdict === 'difference'
