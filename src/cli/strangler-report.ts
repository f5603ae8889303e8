import { writeFileSync } from 'node:fs'
import { styleText } from 'node:util'
import { environment } from '../runtime/environment.ts'
import { htmlReport } from '../strangler/report-html.ts'
import type { FieldParity, FieldVerdict } from '../strangler/field-parity.ts'
import { readParityReport, type ParityReport } from '../strangler/parity-report.ts'
import { brokenText, fieldText, laneText, servedText, unmatchedText, verdictText } from '../strangler/report-text.ts'
import { dim, tidings } from '../trace/paint.ts'
import { printable } from '../trace/text.ts'
import { withExistingLog } from './log.ts'
import { flushOutput, parseCount, print, printResult, reportError, type GlobalOptions } from './output.ts'
import { parseTime } from './selection.ts'
import { parsePercent } from './strangler.ts'

interface ReportOptions extends GlobalOptions {
  since: string
  html?: string
  parity?: string
  expectAtLeast?: string
  console?: string
}

const exitCodes: Record<ParityReport['verdict'], number> = { parity: 0, regression: 1, 'too few': 3 }

const errorCode = 2

/** `tidings strangler report`: how the candidate's answers differ, beyond noise. */
export async function stranglerReportCommand(name: string, options: ReportOptions): Promise<void> {
  process.exitCode = errorCode
  try {
    process.exitCode = exitCodes[await report(name, options)]
  } catch (error) {
    reportError(error, options)
  }
}

async function report(name: string, options: ReportOptions): Promise<ParityReport['verdict']> {
  const { since, html, parity, expectAtLeast } = options
  const limits = {
    since: parseTime(since),
    ...(parity !== undefined && { tolerated: 1 - parsePercent('--parity', parity) / 100 }),
    ...(expectAtLeast !== undefined && { minPairs: parseCount('--expect-at-least', expectAtLeast) }),
  }
  const found = await withExistingLog(bus => readParityReport(bus, name, limits))
  const address = options.console ?? `http://localhost:${environment().port}/console`
  if (html !== undefined) writeFileSync(html, htmlReport(found, { console: address.replace(/\/+$/, '') }))
  await printResult(options, found, lines(found))
  if (html !== undefined && !options.json) await print(dim(`  written to ${html}`))
  await flushOutput()
  return found.verdict
}

const marks: Record<FieldVerdict, string> = {
  regression: styleText('red', '✖'),
  difference: styleText('red', '✖'),
  suspect: styleText('yellow', '?'),
  tolerated: styleText('green', '✔'),
  noise: dim('~'),
}

function lines(report: ParityReport): string[] {
  const { candidate, strangler, fields, broken, lanes, served, tools, verdict } = report
  const colour = verdict === 'parity' ? 'green' : verdict === 'regression' ? 'red' : 'yellow'
  const unmatched = unmatchedText(report)
  return [
    styleText(colour, printable(verdictText(report))),
    dim(printable(`  ${strangler}: candidate ${candidate} against old`)),
    ...fields.flatMap(fieldLines),
    ...broken.map(each => `${styleText('red', '✖')} ${brokenText(each)}`),
    '',
    `mirrored   old        ${laneText(lanes.old)}`,
    `           repeat     ${laneText(lanes.repeat)}`,
    `           candidate  ${laneText(lanes.candidate)}`,
    `served     old        ${servedText(served.old)}`,
    `           candidate  ${servedText(served.candidate)}`,
    ...(unmatched === '' ? [] : [`unmatched  ${unmatched}`]),
    ...tools.map(
      ({ old, candidate: called, count }) =>
        `tools      ${count} × ${printable(sequence(called))}${old ? `; old: ${printable(sequence(old))}` : ''}`,
    ),
  ]
}

const sequence = (tools: readonly string[]) => tools.join(' → ') || 'none'

function fieldLines(field: FieldParity): string[] {
  const [example] = field.examples
  const values = example && `${example.first ?? 'absent'} → ${example.other ?? 'absent'}`
  const isShown = field.verdict !== 'noise' && values !== undefined
  return [
    `${marks[field.verdict]} ${printable(fieldText(field))}`,
    ...(isShown ? [dim(printable(`    ${values}  ${tidings} trace ${example!.correlationid}`))] : []),
  ]
}
