import { signTest } from './statistics.ts'
import type { Violation } from './control.ts'
import { quantile, type LatencyHistogram } from './histogram.ts'
import type { FieldCounts, Measurement } from './meter.ts'

/** When the candidate is taken out of use automatically. What is not declared is not checked. */
export interface RollbackCriteria {
  /** The highest share of requests that may fail, from 0 to 1. */
  readonly errorRate?: number
  /** The 95th percentile of the candidate's latency, in ms, that it may not exceed. */
  readonly p95?: number
  /** The lowest share of compared answers that must agree in every field, from 0 to 1. What `old` itself varies in does not count. */
  readonly parity?: number
  /** In ms. */
  readonly window: number
  /** How many requests of the window a judgement needs. */
  readonly minRequests: number
}

/** What a rollback can be due to. */
export type Criterion = 'errorRate' | 'p95' | 'parity' | 'no answers' | 'no comparisons'

/**
 * How unlikely a difference must be by chance alone to be the reason of a rollback: the criterion is evaluated every second, so that even one in
 * a million windows would be one a fortnight.
 */
const rollbackAlpha = 1e-7

/**
 * The violated criterion of a window, if any. `ageMs`: how long the percentage has been in force.
 *
 * No data is a failure only if the candidate was asked and gave no answer in a whole window, while `old` answered at least `minRequests`.
 */
export function violationIn(
  measurements: readonly Measurement[],
  criteria: RollbackCriteria,
  ageMs: number,
): Violation | undefined {
  const { errorRate, p95, parity, window, minRequests } = criteria
  const lane = (name: 'old' | 'candidate') => measurements.map(each => each[name])
  const candidate = lane('candidate')
  const finished = sum(candidate, each => each.finished)
  const judged = <T>(limit: T | undefined, requests: number): limit is T =>
    limit !== undefined && requests >= minRequests

  if (judged(errorRate, finished)) {
    const measured = sum(candidate, each => each.failed) / finished
    if (measured > errorRate) return { criterion: 'errorRate', limit: errorRate, measured, requests: finished }
  }
  const overdue = sum(newestOfEach(measurements), each => each.overdue)
  if (judged(p95, finished + overdue)) {
    const histograms: LatencyHistogram[] = candidate.map(each => each.latency)
    const measured = quantile(histograms, 0.95, overdue)
    if (measured !== undefined && measured > p95 * (measured === Infinity ? 1 : latencyPrecision))
      return {
        criterion: 'p95',
        limit: p95,
        ...(measured !== Infinity && { measured: Math.round(measured) }),
        requests: finished + overdue,
      }
  }
  const pairs = sum(measurements, each => each.pairs)
  if (judged(parity, pairs)) {
    const found = worstField(measurements, pairs, 1 - parity)
    if (found) return { criterion: 'parity', limit: parity, ...found, requests: pairs }
  }

  const answeredByOld = sum(lane('old'), each => each.finished)
  if (ageMs < window || answeredByOld < minRequests) return undefined
  const asked = sum(candidate, each => each.asked) + sum(newestOfEach(measurements), each => each.open)
  if ((errorRate ?? p95) !== undefined && finished === 0 && asked > 0)
    return { criterion: 'no answers', limit: minRequests, requests: answeredByOld }
  const mirrored = sum(measurements, each => each.mirrors.asked)
  if (parity !== undefined && mirrored > 0 && sum(measurements, each => each.mirrors.compared) === 0)
    return { criterion: 'no comparisons', limit: minRequests, requests: answeredByOld }
  return undefined
}

/** A quantile of a histogram is up to 10 % too high. */
const latencyPrecision = 1.1

/** The field whose answers differ too often, beyond what `old` varies in itself. */
function worstField(measurements: readonly Measurement[], pairs: number, tolerated: number) {
  const triples = sum(measurements, each => each.triples)
  const fields = new Map<string, FieldCounts>()
  for (const each of measurements)
    for (const [path, counts] of Object.entries(each.fields)) {
      const before = fields.get(path)
      fields.set(path, before ? addCounts(before, counts) : counts)
    }
  for (const [field, { differed, onlyCandidate, onlyRepeat }] of fields) {
    const excess = triples > 0 ? (onlyCandidate - onlyRepeat) / triples : differed / pairs
    // Without a repetition there is no chance to tell apart: every difference counts.
    const byChance = triples > 0 ? signTest(onlyCandidate, onlyRepeat) * fields.size : 0
    if (excess > tolerated && byChance <= rollbackAlpha) return { field, measured: 1 - excess }
  }
  return undefined
}

const addCounts = (a: FieldCounts, b: FieldCounts): FieldCounts => ({
  differed: a.differed + b.differed,
  onlyCandidate: a.onlyCandidate + b.onlyCandidate,
  onlyRepeat: a.onlyRepeat + b.onlyRepeat,
})

/** What counts at a moment, and not over a time, is that of the newest measurement of each process. */
const newestOfEach = (measurements: readonly Measurement[]): Measurement[] => [
  ...new Map(measurements.map(each => [each.process, each])).values(),
]

const sum = <T>(list: readonly T[], of: (each: T) => number): number =>
  list.reduce((total, each) => total + of(each), 0)
