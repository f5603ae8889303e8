import type { Bus } from '../bus/bus.ts'
import { cursorAt } from '../bus/cursor-at.ts'
import { comparedType, isPair, type LaneComparison, type LaneRecord } from './comparison.ts'
import { changedType, readStrangler, rolledBackType, unknownStrangler, type Decision, type StranglerDocument } from './control.ts' // biome-ignore format: one line
import { FieldParities, isFailingVerdict, reportAlpha, type FieldParity } from './field-parity.ts'
import { quantile, type LatencyHistogram } from './histogram.ts'
import { measuredType, type Measurement, type MirrorCounts, type SideMeasurement } from './meter.ts'
import { detectableRate } from './statistics.ts'
import { repeatedType } from './strangler.ts'

/*
 * A parity report is computed from the log alone: from the comparisons, measurements and decisions of a period.
 */

/** What a lane of the comparisons did. */
export interface LaneSummary {
  readonly answers: number
  readonly failed: number
  /** In ms. */
  readonly p50?: number
  readonly p95?: number
  /** Of all answers together, where the calls of the lane are on the log. */
  readonly tokens: number
  readonly cost: number
}

/** What users got from a side. */
export interface ServedSummary {
  readonly finished: number
  readonly failed: number
  readonly p50?: number
  readonly p95?: number
}

/** Two sequences of tool calls for the same request, and how often. */
export interface ToolSequences {
  /** Absent if the calls of `old` are not on the log. */
  readonly old?: readonly string[]
  readonly candidate: readonly string[]
  readonly count: number
  /** The correlation of a request. */
  readonly example: string
}

/** A limit that a report checks besides the fields. */
export interface BrokenLimit {
  readonly limit: 'errorRate' | 'p95'
  readonly allowed: number
  readonly measured: number
  readonly requests: number
}

/** The limits of a report. */
export interface ReportLimits {
  /** The share of answers that may differ beyond noise, from 0 to 1. */
  readonly tolerated: number
  readonly errorRate?: number
  readonly p95?: number
  /** How many compared answers a verdict needs. */
  readonly minPairs: number
}

/** What is known about how a candidate answers, in a period. */
export interface ParityReport extends StranglerDocument {
  readonly strangler: string
  /** RFC 3339, in UTC. */
  readonly since: string
  readonly until: string
  readonly verdict: 'parity' | 'regression' | 'too few'
  readonly comparisons: number
  readonly pairs: number
  readonly triples: number
  /** The smallest rate of differences in a field without noise that this many triples show four times out of five; absent if none. */
  readonly detectable?: number
  /** Below which probability a difference is a finding. */
  readonly alpha: number
  readonly limits: ReportLimits
  readonly fields: readonly FieldParity[]
  readonly broken: readonly BrokenLimit[]
  readonly lanes: { readonly old: LaneSummary; readonly repeat: LaneSummary; readonly candidate: LaneSummary }
  readonly tools: readonly ToolSequences[]
  /** Mirrored requests without a pair: failed answers, and comparisons that never came. */
  readonly unmatched: { readonly oldFailed: number; readonly candidateFailed: number; readonly bothFailed: number; readonly lost: number } // biome-ignore format: one line
  readonly mirrors: MirrorCounts
  readonly served: { readonly old: ServedSummary; readonly candidate: ServedSummary; readonly fallbacks: number; readonly repeated: number } // biome-ignore format: one line
  readonly decisions: readonly Decision[]
}

const maxSequences = 10
const defaultMinPairs = 50

/** @throws E_NOT_FOUND, E_LOG_UNAVAILABLE */
export async function readParityReport(
  bus: Bus,
  strangler: string,
  { since, ...given }: { readonly since: number } & Partial<ReportLimits>,
): Promise<ParityReport> {
  const document = await readStrangler(bus, strangler)
  if (!document) throw unknownStrangler(strangler)
  const until = await bus.head()
  const now = bus.now()
  const filter = [{ types: [comparedType, measuredType, repeatedType, changedType, rolledBackType] }]
  const sums = new ReportSums()
  for await (const { event } of bus.read({ after: await cursorAt(bus, since, until), until, filter })) {
    if (event.subject !== strangler) continue
    const { data } = await bus.resolveIfStored(event)
    if (data === null) continue
    if (event.type === comparedType) sums.compared(data as LaneComparison, event.correlationid)
    else if (event.type === measuredType) sums.measured(data as Measurement)
    else if (event.type === repeatedType) sums.repeated++
    else sums.decisions.push(data as Decision)
  }
  const limits = limitsOf(document, given)
  const period = { since: new Date(since).toISOString(), until: new Date(now).toISOString() }
  return { strangler, ...document, ...period, ...sums.result(limits) }
}

function limitsOf({ rollback }: StranglerDocument, given: Partial<ReportLimits>): ReportLimits {
  const { errorRate, p95, parity = 1 } = rollback ?? {}
  return {
    tolerated: 1 - parity,
    ...(errorRate !== undefined && { errorRate }),
    ...(p95 !== undefined && { p95 }),
    minPairs: defaultMinPairs,
    ...given,
  }
}

class ReportSums {
  readonly decisions: Decision[] = []
  repeated = 0
  readonly #fields = new FieldParities()
  readonly #lanes = { old: new LaneSums(), repeat: new LaneSums(), candidate: new LaneSums() }
  readonly #tools = new Map<string, { -readonly [K in keyof ToolSequences]: ToolSequences[K] }>()
  readonly #unmatched = { oldFailed: 0, candidateFailed: 0, bothFailed: 0 }
  readonly #mirrors = { asked: 0, compared: 0, busy: 0, away: 0 }
  readonly #served: { old: SideMeasurement[]; candidate: SideMeasurement[] } = { old: [], candidate: [] }
  #comparisons = 0
  #fallbacks = 0

  compared(comparison: LaneComparison, correlationid: string): void {
    const { old, candidate, repeat } = comparison
    this.#comparisons++
    this.#fields.add(comparison, correlationid)
    this.#lanes.old.add(old)
    this.#lanes.candidate.add(candidate)
    if (repeat) this.#lanes.repeat.add(repeat)
    if (!isPair(comparison))
      this.#unmatched[old.error ? (candidate.error ? 'bothFailed' : 'oldFailed') : 'candidateFailed']++
    if (!candidate.tools) return
    const key = JSON.stringify([old.tools, candidate.tools])
    const known = this.#tools.get(key)
    if (known) known.count++
    else if (this.#tools.size < 1_000)
      this.#tools.set(key, {
        ...(old.tools && { old: old.tools }),
        candidate: candidate.tools,
        count: 1,
        example: correlationid,
      })
  }

  measured({ old, candidate, fallbacks, mirrors }: Measurement): void {
    this.#served.old.push(old)
    this.#served.candidate.push(candidate)
    this.#fallbacks += fallbacks
    for (const name of Object.keys(this.#mirrors) as (keyof MirrorCounts)[]) this.#mirrors[name] += mirrors[name]
  }

  result(limits: ReportLimits) {
    const { pairs, triples } = this.#fields
    const fields = this.#fields.result(limits.tolerated)
    const served = { old: servedOf(this.#served.old), candidate: servedOf(this.#served.candidate) }
    const lanes = {
      old: this.#lanes.old.result(),
      repeat: this.#lanes.repeat.result(),
      candidate: this.#lanes.candidate.result(),
    }
    const broken = brokenLimits(limits, served.candidate, lanes.candidate)
    const isFailing = broken.length > 0 || fields.some(({ verdict }) => isFailingVerdict(verdict))
    const detectable = detectableRate(triples, fields.length, reportAlpha)
    const verdict: ParityReport['verdict'] = isFailing ? 'regression' : pairs < limits.minPairs ? 'too few' : 'parity'
    return {
      verdict,
      comparisons: this.#comparisons,
      pairs,
      triples,
      ...(detectable !== undefined && { detectable }),
      alpha: reportAlpha,
      limits,
      fields,
      broken,
      lanes,
      tools: [...this.#tools.values()].toSorted((a, b) => b.count - a.count).slice(0, maxSequences),
      unmatched: { ...this.#unmatched, lost: Math.max(0, this.#mirrors.asked - this.#mirrors.compared) },
      mirrors: this.#mirrors,
      served: { ...served, fallbacks: this.#fallbacks, repeated: this.repeated },
      decisions: this.decisions,
    }
  }
}

/** The answers of one lane. */
class LaneSums {
  readonly #latencies: number[] = []
  readonly #sums = { answers: 0, failed: 0, tokens: 0, cost: 0 }

  add({ ms, error, tokens = 0, cost = 0 }: LaneRecord): void {
    this.#sums.answers++
    if (error) this.#sums.failed++
    this.#sums.tokens += tokens
    this.#sums.cost += cost
    this.#latencies.push(ms)
  }

  result(): LaneSummary {
    const sorted = this.#latencies.toSorted((a, b) => a - b)
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!
    return { ...this.#sums, ...(sorted.length > 0 && { p50: at(0.5), p95: at(0.95) }) }
  }
}

function servedOf(measured: readonly SideMeasurement[]): ServedSummary {
  const histograms: LatencyHistogram[] = measured.map(({ latency }) => latency)
  const [p50, p95] = [0.5, 0.95].map(share => quantile(histograms, share))
  const sum = (of: (each: SideMeasurement) => number) => measured.reduce((total, each) => total + of(each), 0)
  return {
    finished: sum(each => each.finished),
    failed: sum(each => each.failed),
    ...(p50 !== undefined && { p50: Math.round(p50) }),
    ...(p95 !== undefined && { p95: Math.round(p95) }),
  }
}

/** What users got counts; before any user got an answer of the candidate, the latency of mirrored requests does. */
function brokenLimits(
  { errorRate, p95, minPairs }: ReportLimits,
  served: ServedSummary,
  mirrored: LaneSummary,
): BrokenLimit[] {
  const broken: BrokenLimit[] = []
  const { finished: requests, failed } = served
  if (errorRate !== undefined && requests >= minPairs && failed / requests > errorRate)
    broken.push({ limit: 'errorRate', allowed: errorRate, measured: failed / requests, requests })
  const timed = requests >= minPairs ? served : { ...mirrored, finished: mirrored.answers }
  if (p95 !== undefined && timed.finished >= minPairs && timed.p95 !== undefined && timed.p95 > p95)
    broken.push({ limit: 'p95', allowed: p95, measured: timed.p95, requests: timed.finished })
  return broken
}
