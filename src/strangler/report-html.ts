import { latencyText, percentOf } from './report-format.ts'
import type { Decision } from './control.ts'
import type { FieldParity } from './field-parity.ts'
import type { LaneSummary, ParityReport, ServedSummary } from './parity-report.ts'
import { brokenText, fieldText, unmatchedText, verdictText, violationText } from './report-text.ts'
import { reportStyle } from './report-style.ts'

/** Where the links of a report lead. */
interface HtmlOptions {
  /** The address of the console, without a slash at its end. */
  readonly console: string
}

/** A text from outside, as the text of an element or the value of an attribute. */
const escaped = (text: string) =>
  text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`).replace(/[\u202a-\u202e\u2066-\u2069]/g, '')

/** A parity report as a page without scripts and requests. */
export function htmlReport(report: ParityReport, { console }: HtmlOptions): string {
  const { strangler, candidate, since, until, verdict, fields, broken, tools, decisions } = report
  const trace = (correlation: string, text: string) =>
    `<a href="${escaped(`${console}/traces/${correlation}`)}">${escaped(text)}</a>`
  const title = `${strangler}: ${candidate} against the old code`
  const unmatched = unmatchedText(report)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${reportStyle}</style>
<main>
<header>
<h1>${escaped(title)}</h1>
<p class="period">${escaped(period(since))} to ${escaped(period(until))}</p>
<p class="verdict ${verdict.replace(' ', '-')}"><strong>${verdictNames[verdict]}</strong> ${escaped(verdictText(report).replace(/^(parity|regression|too few answers):? /, ''))}</p>
${broken.map(each => `<p class="verdict regression"><strong>Limit</strong> ${escaped(brokenText(each))}</p>`).join('\n')}
</header>
<section>
<h2>Fields</h2>
${fields.length === 0 ? '<p>No field ever differed.</p>' : fieldTable(fields, trace)}
<p class="note">The excess is how much more often the candidate differs from old than old from itself, with 95 % of confidence. A regression is a difference that chance
alone would make in less than one of ${Math.round(1 / report.alpha)} reports (McNemar's exact test, adjusted by Holm for the number of fields).</p>
</section>
<section>
<h2>Answers</h2>
${laneTable(report)}
${unmatched === '' ? '' : `<p>Without a pair: ${escaped(unmatched)}.</p>`}
</section>
${tools.length === 0 ? '' : `<section><h2>Tools</h2>${toolTable(report, trace)}</section>`}
${decisions.length === 0 ? '' : `<section><h2>Decisions</h2>${decisionTable(decisions)}</section>`}
</main>
</html>
`
}

const verdictNames: Record<ParityReport['verdict'], string> = {
  parity: 'Parity',
  regression: 'Regression',
  'too few': 'Too few answers',
}

const period = (time: string) => `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`

type Trace = (correlation: string, text: string) => string

function fieldTable(fields: readonly FieldParity[], trace: Trace): string {
  const widest = Math.max(
    ...fields.map(({ interval }) => Math.max(Math.abs(interval.low), Math.abs(interval.high))),
    0.01,
  )
  const rows = fields.map(field => {
    const { path, differed, compared, noise, triples, excess, p, verdict } = field
    return `<tr class="${verdict}">
<td class="path"><code>${escaped(path)}</code></td>
<td><span class="mark">${verdict}</span></td>
<td class="number" title="${escaped(fieldText(field))}">${percentOf(differed / Math.max(1, compared))}<small>${differed} of ${compared}</small></td>
<td class="number">${triples === 0 ? 'unknown' : `${percentOf(noise / triples)}<small>${noise} of ${triples}</small>`}</td>
<td class="number">${percentOf(excess)}<small>${percentOf(field.interval.low)} to ${percentOf(field.interval.high)}</small></td>
<td>${intervalBar(field, widest)}</td>
<td class="number">${p === undefined ? '' : p < 0.0001 ? '&lt; 0.0001' : p.toPrecision(2)}</td>
<td>${examplesOf(field, trace)}</td>
</tr>`
  })
  return `<div class="scroll"><table>
<thead><tr><th>Field</th><th>Verdict</th><th class="number">Differs</th><th class="number">Noise</th><th class="number">Excess</th><th><span class="hidden">Interval</span></th><th class="number">p</th><th>Examples: old → candidate</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody></table></div>`
}

function examplesOf({ examples }: FieldParity, trace: Trace): string {
  if (examples.length === 0) return ''
  const items = examples.map(({ correlationid, candidate, first, other }) => {
    const values = `<code>${escaped(first ?? 'absent')}</code> → <code>${escaped(other ?? 'absent')}</code>`
    return `<li>${values} <span class="links">${trace(correlationid, 'request')} ${trace(candidate, 'candidate')}</span></li>`
  })
  return `<ul>${items.join('')}</ul>`
}

const barWidth = 120

/** The interval on a scale with zero in the middle. */
function intervalBar({ interval, excess }: FieldParity, widest: number): string {
  const x = (value: number) => Math.round((barWidth / 2) * (1 + value / widest) * 10) / 10
  const [low, high, middle] = [x(interval.low), x(interval.high), x(excess)]
  const width = Math.max(2, Math.round((high - low) * 10) / 10)
  return `<svg width="${barWidth}" height="14" aria-hidden="true"><line x1="${barWidth / 2}" x2="${barWidth / 2}" y1="0" y2="14"/><rect x="${low}" y="5" width="${width}" height="4" rx="2"/><circle cx="${middle}" cy="7" r="3.5"/></svg>`
}

function laneTable({ lanes, served }: ParityReport): string {
  const number = (text: string) => `<td class="number">${text}</td>`
  const ms = (value: number | undefined) => (value === undefined ? '' : latencyText(value))
  const row = (name: string, cells: string[]) => `<tr><td>${name}</td>${cells.map(number).join('')}</tr>`
  const lane = (name: string, { answers, failed, p50, p95, tokens, cost }: LaneSummary) =>
    row(name, [
      String(answers),
      String(failed),
      ms(p50),
      ms(p95),
      tokens > 0 ? String(tokens) : '',
      cost > 0 ? cost.toFixed(4) : '',
    ])
  const side = (name: string, { finished, failed, p50, p95 }: ServedSummary) =>
    row(name, [String(finished), String(failed), ms(p50), ms(p95), '', ''])
  return `<div class="scroll"><table>
<thead><tr><th>Who</th>${['Answers', 'Failed', 'p50', 'p95', 'Tokens', 'Cost'].map(name => `<th class="number">${name}</th>`).join('')}</tr></thead>
<tbody>
${lane('compared: old', lanes.old)}
${lane('compared: old, repeated', lanes.repeat)}
${lane('compared: candidate', lanes.candidate)}
${side('to users: old', served.old)}
${side('to users: candidate', served.candidate)}
</tbody></table></div>
${served.fallbacks > 0 ? `<p>${served.fallbacks} requests of the candidate were answered by old, because it could not be asked.</p>` : ''}
${served.repeated > 0 ? `<p>${served.repeated} requests were answered by old after the candidate may have begun them.</p>` : ''}`
}

function toolTable({ tools }: ParityReport, trace: Trace): string {
  const sequence = (names: readonly string[]) =>
    names.length === 0 ? 'none' : names.map(name => `<code>${escaped(name)}</code>`).join(' → ')
  const rows = tools.map(
    ({ old, candidate, count, example }) =>
      `<tr><td class="number">${count}</td><td>${old ? sequence(old) : 'not on the log'}</td><td>${sequence(candidate)}</td><td>${trace(example, 'request')}</td></tr>`,
  )
  return `<div class="scroll"><table><thead><tr><th class="number">Requests</th><th>Old</th><th>Candidate</th><th>Example</th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`
}

function decisionTable(decisions: readonly Decision[]): string {
  const rows = decisions.map(({ at, by, from, to, why, violation }) => {
    const reason = violation ? violationText(violation) : (why ?? '')
    return `<tr${violation ? ' class="regression"' : ''}><td>${escaped(period(at))}</td><td>${from.percent} % → ${to.percent} %</td><td>${from.mirror} % → ${to.mirror} %</td><td>${escaped(by)}</td><td>${escaped(reason)}</td></tr>`
  })
  return `<div class="scroll"><table><thead><tr><th>When</th><th>Candidate</th><th>Mirrored</th><th>By</th><th>Why</th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`
}
