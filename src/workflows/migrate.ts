import { Code } from './compile.ts'
import type { Definition, Step } from './definition.ts'
import type { State } from './state.ts'
import { namesOf, stepsIn } from './tree.ts'

/** Data of `workflow.migrate`. */
export interface Migration {
  readonly definition: Definition
}

/** The instance under another definition of its workflow, where it stands; or why that cannot be. */
export function migrated(
  from: Code,
  state: State,
  { definition }: Migration,
): { code: Code; state: State } | { refused: string } {
  const refused = refusal(from.definition, state, definition)
  if (refused !== undefined) return { refused }
  const code = new Code(definition)
  const ends = state.ends ?? null
  const { within } = code
  const begun = ends === null || from.within === null ? undefined : ends - from.within
  return { code, state: { ...state, ends: within === null ? null : begun === undefined ? ends : begun + within } }
}

/** Why an instance that stands so cannot go on by another definition; undefined when it can. */
export function refusal(from: Definition, state: State, to: Definition): string | undefined {
  if (state.ended || state.ending) return 'it is about to end'
  const before = find(from, state.at)
  const after = find(to, state.at)
  if (!before) return undefined
  if (!after) return `it stands at ${before.id}, which version ${to.version} does not have`
  if (JSON.stringify(waitOf(before)) !== JSON.stringify(waitOf(after)))
    return `it stands at ${before.id}, which waits for something else in version ${to.version}`
  const later = new Set(stepsIn(to.steps).flatMap(namesOf))
  const lost = stepsBefore(to, after.id)
    .flatMap(namesOf)
    .find(name => !(name in state.scope) && !wasMissing(from, name))
  if (lost !== undefined)
    return `version ${to.version} reads ${lost}, which it keeps before ${after.id}, and this instance has not`
  const gone = Object.keys(state.scope).find(name => name !== 'event' && name !== 'error' && !later.has(name))
  return gone === undefined ? undefined : `version ${to.version} no longer keeps ${gone}, which this instance has`
}

const find = (definition: Definition, id: string | undefined) =>
  id === undefined ? undefined : stepsIn(definition.steps).find(step => step.id === id)

/** What comes before a step, as far as it lies in the same row. */
function stepsBefore(definition: Definition, id: string): Step[] {
  const all = stepsIn(definition.steps)
  return all.slice(
    0,
    all.findIndex(step => step.id === id),
  )
}

const wasMissing = (from: Definition, name: string) => stepsIn(from.steps).flatMap(namesOf).includes(name)

/** What of a step an instance is in the middle of. */
function waitOf(step: Step): unknown {
  const { kind } = step
  if (kind === 'when') return [kind, step.pattern]
  if (kind === 'call') return [kind, step.as, step.target]
  if (kind === 'each') return [kind, step.as, step.target, step.join]
  return kind === 'approve' ? [kind, step.as] : kind
}
