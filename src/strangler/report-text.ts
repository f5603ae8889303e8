import { latencyText, percentOf } from './report-format.ts'
import type { Violation } from './control.ts'
import type { FieldParity } from './field-parity.ts'
import type { BrokenLimit, LaneSummary, ParityReport, ServedSummary } from './parity-report.ts'

/** Why a rollback happened, in a sentence. */
export function violationText({ criterion, limit, measured, requests, field }: Violation): string {
  switch (criterion) {
    case 'errorRate':
      return `${percentOf(measured ?? 0)} of ${requests} answers failed, more than ${percentOf(limit)}`
    case 'p95':
      return `95 % of ${requests} answers took ${measured === undefined ? `more than ${latencyText(limit)}` : `up to ${latencyText(measured)}, more than ${latencyText(limit)}`}`
    case 'parity':
      return `only ${percentOf(measured ?? 0)} of ${requests} answers agree in ${field}, less than ${percentOf(limit)}`
    case 'no answers':
      return `the candidate answered nothing, while old answered ${requests} requests`
    case 'no comparisons':
      return `no mirrored request was compared, while old answered ${requests} requests`
  }
}

/** What the statistics say about a field, in a sentence. */
export function fieldText(field: FieldParity): string {
  const { path, differed, compared, noise, triples, excess, interval, p, verdict } = field
  const raw = `${path} differs in ${percentOf(differed / Math.max(1, compared))} (${differed} of ${compared})`
  if (triples === 0)
    return `${raw}; noise is unknown, because old was not repeated [${percentOf(interval.low)}, ${percentOf(interval.high)}]`
  const chance = verdict === 'noise' ? '' : `, p ${(p ?? 1) < 0.0001 ? '< 0.0001' : `= ${(p ?? 1).toPrecision(2)}`}`
  return `${raw}, old from itself in ${percentOf(noise / triples)} (${noise} of ${triples}): excess ${percentOf(excess)} [${percentOf(interval.low)}, ${percentOf(interval.high)}]${chance}`
}

/** The verdict in a sentence, with the sample size. */
export function verdictText({ verdict, pairs, triples, fields, detectable, limits, broken }: ParityReport): string {
  const sample = `${pairs} compared answers, ${triples} of them with old repeated`
  if (verdict === 'too few') return `too few answers: ${sample}; ${limits.minPairs} are needed`
  if (verdict === 'regression') {
    const found = fields.filter(each => each.verdict === 'regression' || each.verdict === 'difference')
    const what = [...found.map(({ path }) => path), ...broken.map(({ limit }) => limit)]
    return `regression in ${what.join(', ')}: ${sample}`
  }
  const shown =
    detectable === undefined ? '' : `; a field that differs in ${percentOf(detectable)} or more would most likely show`
  return `parity: ${sample}${shown}`
}

export const brokenText = ({ limit, allowed, measured, requests }: BrokenLimit): string =>
  limit === 'errorRate'
    ? `${percentOf(measured)} of ${requests} answers failed, more than ${percentOf(allowed)}`
    : `95 % of ${requests} answers took up to ${latencyText(measured)}, more than ${latencyText(allowed)}`

export const laneText = ({ answers, failed, p50, p95, tokens, cost }: LaneSummary): string =>
  answers === 0
    ? 'none'
    : `${answers} answers, ${failed} failed, p50 ${latencyText(p50 ?? 0)}, p95 ${latencyText(p95 ?? 0)}${tokens > 0 ? `, ${tokens} tokens` : ''}${cost > 0 ? `, cost ${cost.toFixed(4)}` : ''}`

export const servedText = ({ finished, failed, p50, p95 }: ServedSummary): string =>
  finished === 0
    ? 'none'
    : `${finished} answers, ${failed} failed, p50 ${latencyText(p50 ?? 0)}, p95 ${latencyText(p95 ?? 0)}`

/** Requests without a pair, in a sentence; empty if there is none. */
export function unmatchedText({ unmatched, mirrors }: ParityReport): string {
  const { oldFailed, candidateFailed, bothFailed, lost } = unmatched
  const parts = [
    [candidateFailed, 'candidate failed'],
    [oldFailed, 'old failed'],
    [bothFailed, 'both failed'],
    [lost, 'never compared'],
    [mirrors.busy, 'skipped, because too many were in flight'],
    [mirrors.away, 'skipped, because the candidate could not be asked'],
  ] as const
  return parts.flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : [])).join(', ')
}
