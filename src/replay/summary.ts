import { titleOf } from './cluster.ts'
import { pathText, type Divergence } from './divergence.ts'
import { locationText } from './report.ts'
import type { ReplayOutcome } from './replayer.ts'

/* A replay as an event can carry it: bounded, whatever diverged. */

const maxDivergences = 20
const maxSkipped = 20
const maxChanges = 20
const maxValueChars = 2_000
const maxTextChars = 500

/** What a replay of recorded tasks found. */
export interface ReplaySummary {
  /** Tasks that were replayed; of these, those that decide as recorded and those that do not. */
  readonly checked: number
  readonly same: number
  readonly diverged: number
  /** Tasks that could not be replayed, or not to their end. */
  readonly failed: number
  /** The first 20, in the order of the log. */
  readonly divergences: readonly ShownDivergence[]
  /** The first 20 tasks of `failed`, and why. */
  readonly skipped?: readonly { readonly task: string; readonly why: string }[]
}

/** A divergence. Values of more than 2,000 characters of JSON are `{ truncated, chars, preview }`. */
export interface ShownDivergence {
  readonly task: string
  readonly program: string
  readonly turn: number
  readonly kind: Divergence['kind']
  /** For people: `desk: tool.invoke web.search changed at data.input.q` */
  readonly what: string
  /** Data of an event that today's code does not emit, or emits in addition. */
  readonly recorded?: unknown
  readonly now?: unknown
  /** The first 20 paths at which a value differs; a side that lacks it is absent. */
  readonly diff: readonly { readonly path: string; readonly before?: unknown; readonly after?: unknown }[]
  /** Where today's code made the call or threw. */
  readonly at?: string
  /** Calls of the code that return another value each time. */
  readonly hints?: readonly { readonly what: string; readonly at: string }[]
}

/** The outcome of a replay within fixed bounds. */
export function replaySummary({ tasks, divergences, skipped }: ReplayOutcome): ReplaySummary {
  const diverged = new Set(divergences.map(({ task }) => task)).size
  return {
    checked: tasks,
    same: tasks - diverged,
    diverged,
    failed: skipped.length,
    divergences: divergences.slice(0, maxDivergences).map(shownDivergence),
    ...(skipped.length > 0 && {
      skipped: skipped.slice(0, maxSkipped).map(({ task, why }) => ({ task, why: why.slice(0, maxTextChars) })),
    }),
  }
}

function shownDivergence(divergence: Divergence): ShownDivergence {
  const { task, program, turn, kind, changes, data, sourceLocation, hints } = divergence
  return {
    task,
    program,
    turn,
    kind,
    what: titleOf(divergence).slice(0, maxTextChars),
    ...(kind === 'removed' && { recorded: shownValue(data) }),
    ...(kind === 'added' && { now: shownValue(data) }),
    diff: changes.slice(0, maxChanges).map(({ path, ...sides }) => ({
      path: pathText(path),
      ...('before' in sides && { before: shownValue(sides.before) }),
      ...('after' in sides && { after: shownValue(sides.after) }),
    })),
    ...(sourceLocation !== undefined && { at: locationText(sourceLocation) }),
    ...(hints && { hints: hints.map(each => ({ what: each.what, at: locationText(each.sourceLocation) })) }),
  }
}

function shownValue(value: unknown): unknown {
  const json = JSON.stringify(value) ?? 'null'
  if (json.length <= maxValueChars) return value ?? null
  return { truncated: true, chars: json.length, preview: json.slice(0, maxValueChars).toWellFormed() }
}
