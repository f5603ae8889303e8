import { isDeepStrictEqual } from 'node:util'
import { TidingsError } from '../errors.ts'
import { validate } from './check.ts'
import { Code } from './compile.ts'
import type { Definition, Step } from './definition.ts'
import type { State } from './state.ts'
import { namesOf, stepsIn } from './tree.ts'

/** Data of `workflow.migrate`. */
export interface Migration {
  readonly definition: Definition
}

/** The instance under another definition of its workflow, where it stands; or why that cannot be. `data`: a {@link Migration}. */
export function migrated(
  from: Code,
  state: State,
  data: unknown,
  now: number,
): { code: Code; state: State } | { refused: string } {
  const definition = definitionIn(data)
  if (typeof definition === 'string') return { refused: definition }
  const refused = refusal(from.definition, state, definition)
  if (refused !== undefined) return { refused }
  const code = new Code(definition)
  const begun = from.within === null ? now : (state.ends ?? now) - from.within
  return { code, state: { ...state, ends: code.within === null ? null : begun + code.within } }
}

/** It comes from the log, where anything may lie. A text says what is wrong with it. */
function definitionIn(data: unknown): Definition | string {
  try {
    const { definition } = data as Migration
    validate(definition)
    return definition
  } catch (error) {
    return error instanceof TidingsError ? error.message : 'what it should go on with is no definition of a workflow'
  }
}

/** Why an instance that stands so cannot go on by another definition; undefined when it can. */
export function refusal(from: Definition, state: State, to: Definition): string | undefined {
  if (state.ended || state.ending) return 'it is about to end'
  if (to.name !== from.name) return `it is an instance of ${from.name}, and not of ${to.name}`
  if (!isDeepStrictEqual(to.key, from.key)) return `version ${to.version} has another key`
  const before = find(from, state.at)
  const after = find(to, state.at)
  if (!before) return undefined
  if (!after) return `it stands at ${before.id}, which version ${to.version} does not have`
  if (JSON.stringify(waitOf(before)) !== JSON.stringify(waitOf(after)))
    return `it stands at ${before.id}, which waits for something else in version ${to.version}`
  const undone = state.undo?.find(({ step }) => !undoOf(to, step))
  if (undone) return `version ${to.version} does not say how to undo ${undone.step}, which this instance has done`
  const later = new Set(stepsIn(to.steps).flatMap(namesOf))
  const lost = stepsBefore(to, after.id)
    .flatMap(namesOf)
    .find(name => !(name in state.scope) && !wasMissing(from, name))
  if (lost !== undefined)
    return `version ${to.version} reads ${lost}, which it keeps before ${after.id}, and this instance has not`
  const gone = Object.keys(state.scope).find(name => name !== 'event' && name !== 'error' && !later.has(name))
  return gone === undefined ? undefined : `version ${to.version} no longer keeps ${gone}, which this instance has`
}

const undoOf = (definition: Definition, id: string) => {
  const step = find(definition, id)
  return step?.kind === 'call' && step.undo
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
  if (kind === 'parallel') return [kind, step.calls]
  return kind === 'approve' ? [kind, step.as] : kind
}
