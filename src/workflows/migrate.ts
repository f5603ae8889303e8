import { isDeepStrictEqual } from 'node:util'
import { TidingsError } from '../errors.ts'
import { validate } from './check.ts'
import { CompiledWorkflow } from './compile.ts'
import type { Definition, Step } from './definition.ts'
import type { InstanceState } from './state.ts'
import { keptNames, stepsIn } from './definition-tree.ts'

/** Data of `workflow.migrate`. */
export interface Migration {
  readonly definition: Definition
}

/** Moves an instance to another definition at its current step, or says why that is impossible. `data`: a {@link Migration}. */
export function migrate(
  from: CompiledWorkflow,
  state: InstanceState,
  data: unknown,
  now: number,
): { code: CompiledWorkflow; state: InstanceState } | { refused: string } {
  const definition = readMigration(data)
  if (typeof definition === 'string') return { refused: definition }
  const refused = migrationProblem(from.definition, state, definition)
  if (refused !== undefined) return { refused }
  const code = new CompiledWorkflow(definition)
  const begun = from.within === null ? now : (state.ends ?? now) - from.within
  return { code, state: { ...state, ends: code.within === null ? null : begun + code.within } }
}

/** Validates the data, because outside publishers may publish anything. Returns the problem as text. */
function readMigration(data: unknown): Definition | string {
  try {
    const { definition } = data as Migration
    validate(definition)
    return definition
  } catch (error) {
    return error instanceof TidingsError ? error.message : 'the data is not a workflow definition'
  }
}

/** Why an instance in this state cannot move to another definition; undefined if it can. */
export function migrationProblem(from: Definition, state: InstanceState, to: Definition): string | undefined {
  if (state.ended || state.ending) return 'the instance is ending'
  if (to.name !== from.name) return `the instance belongs to workflow "${from.name}", not to "${to.name}"`
  if (!isDeepStrictEqual(to.key, from.key)) return `version ${to.version} has another key`
  const before = find(from, state.at)
  const after = find(to, state.at)
  if (!before) return undefined
  if (!after) return `version ${to.version} does not have its current step "${before.id}"`
  if (JSON.stringify(waitSignature(before)) !== JSON.stringify(waitSignature(after)))
    return `its current step "${before.id}" waits for something else in version ${to.version}`
  const undone = state.undo?.find(({ step }) => !undoOf(to, step))
  if (undone) return `version ${to.version} has no undo for "${undone.step}", which this instance has completed`
  const later = new Set(stepsIn(to.steps).flatMap(keptNames))
  const lost = stepsBefore(to, after.id)
    .flatMap(keptNames)
    .find(name => !(name in state.scope) && !wasMissing(from, name))
  if (lost !== undefined)
    return `version ${to.version} stores "${lost}" before "${after.id}", and this instance does not have it`
  const gone = Object.keys(state.scope).find(name => name !== 'event' && name !== 'error' && !later.has(name))
  return gone === undefined ? undefined : `version ${to.version} no longer stores "${gone}", which this instance has`
}

const undoOf = (definition: Definition, id: string) => {
  const step = find(definition, id)
  return step?.kind === 'call' && step.undo
}

const find = (definition: Definition, id: string | undefined) =>
  id === undefined ? undefined : stepsIn(definition.steps).find(step => step.id === id)

function stepsBefore(definition: Definition, id: string): Step[] {
  const all = stepsIn(definition.steps)
  const at = all.findIndex(step => step.id === id)
  return all.slice(0, at)
}

const wasMissing = (from: Definition, name: string) => stepsIn(from.steps).flatMap(keptNames).includes(name)

/** The part of a step that must not change while an instance waits in it. */
function waitSignature(step: Step): unknown {
  const { kind } = step
  if (kind === 'when') return [kind, step.pattern]
  if (kind === 'call') return [kind, step.as, step.target]
  if (kind === 'each') return [kind, step.as, step.target, step.join]
  if (kind === 'parallel') return [kind, step.calls]
  return kind === 'approve' ? [kind, step.as] : kind
}
