import { styleText } from 'node:util'
import { clusterDivergences, titleOf, type Cluster } from './cluster.ts'
import type { Change } from './compare.ts'
import type { Hint } from './nondeterminism.ts'
import type { ReplayOutcome } from './replayer.ts'
import { pathText, locationText, valueText } from './text.ts'
import { replayVerdict, type GateRequirements } from './verdict.ts'

/* The same outcome gives the same bytes: nothing in a report depends on the clock or on the number of threads. */

const shownChanges = 8
const shownTasks = 5

/** For people: of each kind of divergence the first one, whole. */
export function* renderReport(outcome: ReplayOutcome, demand: GateRequirements, width: number): Generator<string> {
  const found = clusterDivergences(outcome.divergences, demand.accepted)
  for (const cluster of found.filter(each => !each.accepted)) yield* clusterLines(cluster, width)
  const meant = found.filter(each => each.accepted)
  for (const { divergences, title } of meant) yield styleText('dim', `accepted ${divergences.length} × ${title}`)
  if (meant.length > 0) yield ''
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
  clock: 'gives another value each time; use ctx.now',
  chance: 'gives another value each time; draw in a tool',
  outside: 'is refused during a replay; do it in a tool',
}

const hintText = ({ kind, what, sourceLocation: place }: Hint) => `${what} at ${locationText(place)} ${advice[kind]}`

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
    `${replayed}: ${countText(outcome.diverged, 'turn')} in ${countText(tasks, 'task')} came out otherwise (${kinds})${but}`,
  )
}

/** What is lacking in what was replayed; undefined when it is enough. */
export function shortfall({ tasks, skipped }: ReplayOutcome, { atLeast = 0 }: GateRequirements): string | undefined {
  if (tasks < atLeast) return `at least ${countText(atLeast, 'task')} expected`
  if (skipped.length > 0) return `${countText(skipped.length, 'task')} not replayed`
  return tasks === 0 ? 'what was selected holds no task' : undefined
}

/** For programs: a line for each divergence, then for each task that was not replayed, then the total. */
export function* reportRecords(outcome: ReplayOutcome, demand: GateRequirements): Generator<object> {
  for (const divergence of outcome.divergences)
    yield {
      record: 'divergence',
      ...divergence,
      ...(divergence.sourceLocation && { place: locationText(divergence.sourceLocation) }),
      ...(divergence.hints && {
        hints: divergence.hints.map(each => ({ ...each, place: locationText(each.sourceLocation) })),
      }),
      title: titleOf(divergence),
      accepted: demand.accepted.accepts(divergence),
    }
  for (const skipped of outcome.skipped) yield { record: 'skipped', ...skipped }
  const { tasks, turns, diverged } = outcome
  yield {
    record: 'total',
    verdict: replayVerdict(outcome, demand),
    tasks,
    turns,
    diverged,
    divergences: outcome.divergences.length,
    skipped: outcome.skipped.length,
  }
}

const countText = (n: number, noun: string) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`
