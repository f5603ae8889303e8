import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { cursorAt } from '../bus/cursor-at.ts'
import { decide, isCutOver, readStranglers, rolledBack, unknownStrangler, type Control, type Decision, type StranglerDocument } from '../strangler/control.ts' // biome-ignore format: one line
import { quantile } from '../strangler/histogram.ts'
import { measuredType, type Measurement, type SideMeasurement } from '../strangler/meter.ts'
import { violationText } from '../strangler/report-text.ts'
import { dim, tidings } from '../trace/paint.ts'
import { elapsed, printable } from '../trace/text.ts'
import { cliIdentity } from './approvals.ts'
import { formatTime } from './event-line.ts'
import { withExistingLog } from './log.ts'
import { printAll, printResult, usageError, type GlobalOptions } from './output.ts'

interface StranglerSetOptions extends GlobalOptions {
  mirror?: string
  always?: string
  never?: string
  why?: string
}

interface StatusEntry extends StranglerDocument {
  readonly strangler: string
  /** Of the last minute. */
  readonly recent: { readonly old: RecentSide; readonly candidate: RecentSide; readonly fallbacks: number }
}

interface RecentSide {
  readonly finished: number
  readonly failed: number
  readonly p95?: number
}

const recentMs = 60_000

/** `tidings strangler status`: who answers, and what was decided last. */
export async function stranglerStatusCommand(name: string | undefined, options: GlobalOptions): Promise<void> {
  const entries = await withExistingLog(async bus => {
    const known = await readStranglers(bus)
    if (name !== undefined && !known.has(name)) throw unknownStrangler(name)
    const wanted = [...known].filter(([each]) => name === undefined || each === name)
    const recent = await recentMeasurements(bus)
    return wanted.map(
      ([strangler, document]): StatusEntry => ({
        strangler,
        ...document,
        recent: recentOf(recent.filter(each => each.strangler === strangler)),
      }),
    )
  })
  await printAll(options, entries, describe, 'No strangler has run on this log.')
}

/** `tidings strangler set`: changes which requests the candidate answers. */
export async function stranglerSetCommand(
  name: string,
  percent: string | undefined,
  options: StranglerSetOptions,
): Promise<void> {
  const { mirror, always, never, why } = options
  const change: Partial<Control> = {
    ...(percent !== undefined && { percent: parsePercent('the percentage', percent) }),
    ...(mirror !== undefined && { mirror: parsePercent('--mirror', mirror) }),
    ...(always !== undefined && { always: keysIn(always) }),
    ...(never !== undefined && { never: keysIn(never) }),
  }
  if (Object.keys(change).length === 0)
    throw usageError('nothing to set: give a percentage such as 5%, --mirror, --always or --never')
  await applyChange(name, change, why, options)
}

/** `tidings strangler rollback`: gives all requests back to the old code. */
export const stranglerRollbackCommand = (name: string, options: StranglerSetOptions): Promise<void> =>
  applyChange(name, rolledBack, options.why, options)

async function applyChange(
  name: string,
  change: Partial<Control>,
  why: string | undefined,
  options: GlobalOptions,
): Promise<void> {
  const by = cliIdentity()
  const decision = await withExistingLog(bus => decide(bus, name, change, { by, why }))
  await printResult(options, decision ?? { strangler: name, changed: false }, [
    decision
      ? `${name}: ${controlText(decision.to)}`
      : `${name} is already set so; ${tidings} strangler status ${name} shows it`,
    ...(decision ? [dim(`  before: ${controlText(decision.from)}; every process follows within about a second`)] : []),
  ])
}

/** Reads `5%`, `5` or `0.5%`. @throws E_USAGE */
export function parsePercent(what: string, text: string): number {
  const [, digits] = /^(\d{1,3}(?:\.\d+)?)\s*%?$/.exec(text.trim()) ?? []
  const percent = Number(digits)
  if (digits !== undefined && percent <= 100) return percent
  throw usageError(`${what} "${text}" is not valid: expected a percentage from 0% to 100%`)
}

const keysIn = (text: string) => text.split(',').flatMap(key => key.trim() || [])

async function recentMeasurements(bus: Bus): Promise<Measurement[]> {
  const until = await bus.head()
  const after = await cursorAt(bus, bus.now() - recentMs, until)
  const found: Measurement[] = []
  for await (const { event } of bus.read({ after, until, filter: [{ types: [measuredType] }] }))
    found.push((await bus.resolve(event)).data as Measurement)
  return found
}

function recentOf(measured: readonly Measurement[]): StatusEntry['recent'] {
  return {
    old: recentSide(measured.map(each => each.old)),
    candidate: recentSide(measured.map(each => each.candidate)),
    fallbacks: measured.reduce((sum, each) => sum + each.fallbacks, 0),
  }
}

function recentSide(measured: readonly SideMeasurement[]): RecentSide {
  const p95 = quantile(
    measured.map(({ latency }) => latency),
    0.95,
  )
  return {
    finished: measured.reduce((sum, each) => sum + each.finished, 0),
    failed: measured.reduce((sum, each) => sum + each.failed, 0),
    ...(p95 !== undefined && { p95: Math.round(p95) }),
  }
}

function describe({ strangler, candidate, control, decision, recent }: StatusEntry): string {
  const state = isCutOver(control) ? styleText('green', controlText(control)) : controlText(control)
  return [
    `${printable(strangler)}  ${state}`,
    dim(`  candidate  ${printable(candidate)}`),
    dim(`  last minute  old ${sideText(recent.old)}; candidate ${sideText(recent.candidate)}${recent.fallbacks > 0 ? `; ${recent.fallbacks} fell back to old` : ''}`), // biome-ignore format: one line
    ...(decision ? [`  ${decisionText(decision)}`] : []),
  ].join('\n')
}

const sideText = ({ finished, failed, p95 }: RecentSide) =>
  finished === 0 ? 'none' : `${finished} (${failed} failed, p95 ${elapsed(p95 ?? 0)})`

function controlText({ percent, mirror, always, never }: Control): string {
  return [
    `${percent} % on the candidate`,
    `${mirror} % mirrored`,
    ...(always.length > 0 ? [`always ${always.map(printable).join(', ')}`] : []),
    ...(never.length > 0 ? [`never ${never.map(printable).join(', ')}`] : []),
  ].join(', ')
}

function decisionText({ at, by, why, from, to, violation }: Decision): string {
  const moved = from.percent === to.percent ? 'changed' : `${from.percent} % → ${to.percent} %`
  const reason = violation ? `: ${violationText(violation)}` : why !== undefined ? `: ${why}` : ''
  const text = printable(`${formatTime(Date.parse(at))}  ${moved} by ${by}${reason}`)
  return violation ? styleText('red', text) : dim(text)
}
