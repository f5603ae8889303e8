import { relative } from 'node:path'
import { styleText } from 'node:util'
import { clusterDivergences, titleOf, type Cluster } from './cluster.ts'
import type { Change } from './compare.ts'
import { pathText } from './divergence.ts'
import type { Hint } from './nondeterminism.ts'
import type { ReplayOutcome } from './replayer.ts'
import type { AcceptedDivergences } from './accept.ts'

/* A report depends neither on the clock nor on the number of processes: the same outcome gives the same bytes. */

const shownChanges = 8
const shownTasks = 5

/** For people: the first divergence of each cluster in full. */
export function* renderReport(outcome: ReplayOutcome, demand: GateRequirements, width: number): Generator<string> {
  const found = clusterDivergences(outcome.divergences, demand.accepted)
  for (const cluster of found.filter(each => !each.accepted)) yield* clusterLines(cluster, width)
  const accepted = found.filter(each => each.accepted)
  for (const { divergences, title } of accepted) yield styleText('dim', `accepted ${divergences.length} × ${title}`)
  if (accepted.length > 0) yield ''
  const reasons = Map.groupBy(outcome.skipped, ({ why }) => why.replace(/task \S+ /, ''))
  for (const [why, tasks] of reasons)
    yield styleText('yellow', `not replayed: ${countText(tasks.length, 'task')}, such as ${tasks[0]!.task}: ${why}`)
  yield summary(outcome, found, shortfall(outcome, demand))
}

function* clusterLines({ signature, title, divergences, note }: Cluster, width: number): Generator<string> {
  const [first] = divergences
  yield `${styleText('red', '✖')} ${styleText('bold', title)}  ${divergences.length} ×  ${styleText('dim', signature)}`
  yield `  first in turn ${first.turn} of ${first.task}${first.sourceLocation ? `, ${styleText('cyan', locationText(first.sourceLocation))}` : ''}`
  if (note !== undefined) yield styleText('yellow', `  this kind ${note}`)
  const { recordedBy: old, replayedBy: now } = first
  yield styleText('dim', `  recorded by version ${old.version} ${old.hash}, now version ${now.version} ${now.hash}`)
  for (const change of first.changes.slice(0, shownChanges)) yield* changeLines(change, width)
  if (first.changes.length > shownChanges) yield `    and ${first.changes.length - shownChanges} more`
  if (first.data !== undefined)
    yield first.kind === 'removed'
      ? styleText('red', `    − ${valueText(first.data, undefined, width - 6)}`)
      : styleText('green', `    + ${valueText(first.data, undefined, width - 6)}`)
  for (const hint of first.hints ?? []) yield styleText('yellow', `  hint: ${hintText(hint)}`)
  const others = [...new Set(divergences.map(each => `${each.task}:${each.turn}`))].slice(1)
  if (others.length > 0)
    yield styleText('dim', `  also ${others.slice(0, shownTasks).join(', ')}${others.length > shownTasks ? ', …' : ''}`)
  yield ''
}

const advice = {
  clock: 'returns another value each time: use ctx.now',
  chance: 'returns another value each time: call it in a tool',
  outside: 'is blocked during a replay: call it in a tool',
}

const hintText = ({ kind, what, sourceLocation }: Hint) => `${what} at ${locationText(sourceLocation)} ${advice[kind]}`

function* changeLines({ path, before, after }: Change, width: number): Generator<string> {
  yield `    ${pathText(path)}`
  yield styleText('red', `    − ${valueText(before, after, width - 6)}`)
  yield styleText('green', `    + ${valueText(after, before, width - 6)}`)
}

function summary(outcome: ReplayOutcome, found: readonly Cluster[], short: string | undefined): string {
  const replayed = `${countText(outcome.tasks, 'task')}, ${countText(outcome.turns, 'turn')} replayed`
  const open = found.filter(({ accepted }) => !accepted).length
  const isClean = open === 0 && short === undefined
  const line = (text: string) => `${styleText(isClean ? 'green' : 'red', isClean ? '✔' : '✖')} ${text}`
  const but = short === undefined ? '' : `; ${short}`
  if (outcome.diverged === 0) return line(`${replayed}: 0 divergences${but}`)
  const tasks = new Set(outcome.divergences.map(({ task }) => task)).size
  const accepted = found.length - open
  const kinds = `${countText(open, 'kind')}${accepted > 0 ? `, ${accepted} accepted` : ''}`
  return line(
    `${replayed}: ${countText(outcome.diverged, 'turn')} in ${countText(tasks, 'task')} decide differently (${kinds})${but}`,
  )
}

/** Exit codes of `tidings replay`. If the replay cannot run, the code is 2. */
export const exitCodes = { same: 0, diverged: 1, nothing: 3, incomplete: 4 } as const

export type ReplayVerdict = keyof typeof exitCodes

export interface GateRequirements {
  readonly accepted: AcceptedDivergences
  readonly atLeast?: number | undefined
}

/** Differences take precedence over a replay that covers too little. */
export function replayVerdict(outcome: ReplayOutcome, demand: GateRequirements): ReplayVerdict {
  const { divergences, skipped, tasks } = outcome
  const { accepted, atLeast = 0 } = demand
  if (divergences.some(each => !accepted.accepts(each))) return 'diverged'
  if (tasks < atLeast) return 'nothing'
  if (skipped.length > 0) return 'incomplete'
  return tasks === 0 ? 'nothing' : 'same'
}

/** Why the replay covers too little; undefined if it covers enough. */
export function shortfall({ tasks, skipped }: ReplayOutcome, { atLeast = 0 }: GateRequirements): string | undefined {
  if (tasks < atLeast) return `expected at least ${countText(atLeast, 'task')}`
  if (skipped.length > 0) return `${countText(skipped.length, 'task')} not replayed`
  return tasks === 0 ? 'the selection contains no task' : undefined
}

/** For programs: a record for each divergence, for each skipped task, and a total. */
export function* reportRecords(outcome: ReplayOutcome, demand: GateRequirements): Generator<object> {
  for (const divergence of outcome.divergences)
    yield {
      record: 'divergence',
      ...divergence,
      ...(divergence.sourceLocation && { sourceLocation: locationText(divergence.sourceLocation) }),
      ...(divergence.hints && {
        hints: divergence.hints.map(each => ({ ...each, sourceLocation: locationText(each.sourceLocation) })),
      }),
      title: titleOf(divergence),
      accepted: demand.accepted.accepts(divergence),
    }
  for (const skipped of outcome.skipped) yield { record: 'skipped', ...skipped }
  const { divergences, skipped, ...counts } = outcome
  const verdict = replayVerdict(outcome, demand)
  yield { record: 'total', verdict, ...counts, divergences: divergences.length, skipped: skipped.length }
}

const countText = (n: number, noun: string) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`

/** A source location relative to the working directory if it is below it. */
export function locationText(location: string): string {
  const short = relative('.', location)
  return short.startsWith('..') ? location : short
}

/** A value on one line. A long one is cut to the surroundings of its first difference. */
function valueText(value: unknown, other: unknown, width: number): string {
  if (value === undefined) return '(absent)'
  const text = JSON.stringify(value)
  if (text.length <= width) return text
  const otherText = JSON.stringify(other) ?? ''
  let same = 0
  while (same < text.length && text[same] === otherText[same]) same++
  const start = Math.max(0, Math.min(same - 12, text.length - width + 2))
  return `${start > 0 ? '…' : ''}${text.slice(start, start + width - 2)}${start + width - 2 < text.length ? '…' : ''}`
}
