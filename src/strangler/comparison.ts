import type { Redactor } from '../bus/redact.ts'
import type { Json } from '../json.ts'
import type { Side } from './bucket.ts'
import { differencesOf, valueAt, type CompareOptions, type OutputDifference } from './differences.ts'
import type { LaneAnswer, LaneFacts, ObservedLane } from './lane.ts'

export const comparedType = 'strangler.compared'

/** A lane as the log holds it: without its output. Only the fields that differ are kept. */
export type LaneRecord = Omit<LaneAnswer, 'output'> & LaneFacts

/** A field whose values differ, each as the beginning of its JSON; absent where a lane does not have the field. */
export interface DifferingField {
  readonly path: string
  readonly first?: string
  readonly other?: string
}

/** The data of `strangler.compared`: the answers to one request, and in what they differ. */
export interface LaneComparison {
  readonly strangler: string
  readonly version: number
  /** Whose answer the user got. */
  readonly served: Side
  readonly old: LaneRecord
  readonly candidate: LaneRecord
  /** `old` once more. */
  readonly repeat?: LaneRecord
  /** Fields in which the candidate differs from `old`. */
  readonly differences: readonly DifferingField[]
  /** Fields in which the repeated answer differs from the first one of `old`. */
  readonly noise?: readonly DifferingField[]
}

/** Names of what is compared besides the fields of outputs. No field has a name in parentheses at its beginning, unless an output has one. */
export const outcomeField = '(outcome)'
const toolsField = '(tools)'
/** Before the name of a field whose comparator threw. */
const brokenComparator = '(comparator) '
const isBroken = (path: string) => path.startsWith(brokenComparator)

interface Lanes {
  readonly old: ObservedLane
  readonly candidate: ObservedLane
  readonly repeat?: ObservedLane | undefined
}

/** Compares the lanes of one request. Values are shown as the redactor leaves them. */
export function compareLanes(
  { old, candidate, repeat }: Lanes,
  rules: CompareOptions | undefined,
  redactor: Redactor,
): Omit<LaneComparison, 'strangler' | 'version' | 'served'> {
  return {
    old: recordOf(old),
    candidate: recordOf(candidate),
    ...(repeat && { repeat: recordOf(repeat) }),
    differences: fieldsThatDiffer(old, candidate, rules, redactor),
    // A comparator that throws says nothing about noise, and must not pass as such.
    ...(repeat && { noise: fieldsThatDiffer(old, repeat, rules, redactor).filter(({ path }) => !isBroken(path)) }),
  }
}

/** Whether both sides answered, so that their outputs were compared field by field. */
export const isPair = ({ old, candidate }: Pick<LaneComparison, 'old' | 'candidate'>) => !old.error && !candidate.error

function recordOf(lane: ObservedLane): LaneRecord {
  const { output: _, ...record } = lane
  return record
}

function fieldsThatDiffer(
  first: ObservedLane,
  other: ObservedLane,
  rules: CompareOptions | undefined,
  redactor: Redactor,
): DifferingField[] {
  const isIgnored = (path: string) => rules?.ignore?.includes(path) ?? false
  const found: DifferingField[] = []
  const add = (path: string, a: string | undefined, b: string | undefined) => {
    if (!isIgnored(path))
      found.push({ path, ...(a !== undefined && { first: a }), ...(b !== undefined && { other: b }) })
  }
  const outcome = ({ error }: ObservedLane) => error?.code ?? 'answered'
  if ((first.error === undefined) !== (other.error === undefined)) add(outcomeField, outcome(first), outcome(other))
  if (first.tools && other.tools && first.tools.join('\n') !== other.tools.join('\n'))
    add(toolsField, shown(first.tools), shown(other.tools))
  if (first.error || other.error) return found
  const [shownFirst, shownOther] = [first, other].map(({ output }) => redactor.event(asEvent(output)).data)
  for (const { path, at, problem } of differences(first.output, other.output, rules))
    if (problem === undefined) add(path, shown(valueAt(shownFirst, at)), shown(valueAt(shownOther, at)))
    else add(`${brokenComparator}${path}`, undefined, redactor.text(problem).slice(0, maxShown))
  return found
}

const differences = (a: Json | undefined, b: Json | undefined, rules: CompareOptions | undefined): OutputDifference[] =>
  differencesOf(a ?? null, b ?? null, rules)

/** An output as the end of a task holds it, so that the rules for it apply. */
const asEvent = (output: Json | undefined) => ({ type: 'agent.task.completed', data: output ?? null })

const maxShown = 200

function shown(value: unknown): string | undefined {
  const text = JSON.stringify(value) as string | undefined
  return text !== undefined && text.length > maxShown ? `${text.slice(0, maxShown - 1)}…` : text
}
