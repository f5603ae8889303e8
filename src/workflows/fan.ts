import type { ErrorData } from '../errors.ts'
import type { EachStep, ParallelStep, Target } from './definition.ts'
import { evaluate } from './evaluate.ts'
import { invalid } from './failures.ts'
import type { Result } from './state.ts'

/* Calls side by side: of each() one for each item of a list, of parallel() one for each name. */

export type FanStep = EachStep | ParallelStep
type Scope = Readonly<Record<string, unknown>>

/** What there is a call for each of; undefined when it is no list. */
export function itemsOf(step: FanStep, scope: Scope): unknown[] | undefined {
  if (step.kind === 'each') {
    const items = evaluate(step.items, scope)
    return Array.isArray(items) ? items : undefined
  }
  const inputs = (evaluate(step.input, scope) ?? {}) as Scope
  return step.calls.map(({ as }) => inputs[as])
}

/** How many are under way at once, at most. */
export const widthOf = (step: FanStep) => (step.kind === 'each' ? step.parallel : step.calls.length)

/** The call for the item at this index. */
export function callFor(step: FanStep, item: unknown, index: number, scope: Scope): { target: Target; input: unknown } {
  if (step.kind === 'each') return { target: step.target, input: evaluate(step.input, { ...scope, item }) }
  return { target: step.calls[index]!.target, input: item }
}

/** What is kept of the outputs, by name. */
export const keptOf = (step: FanStep, outputs: readonly unknown[]): Record<string, unknown> =>
  step.kind === 'each'
    ? { [step.as]: outputs }
    : Object.fromEntries(step.calls.map(({ as }, index) => [as, outputs[index]]))

/** What the calls give, as soon as that is certain. `results`: for each item its answer, or null while there is none. */
export function joined(
  step: FanStep,
  results: readonly (Result | null)[],
): { output: unknown[] } | { error: ErrorData } | undefined {
  const join = step.kind === 'each' ? step.join : 'all'
  const there = results.filter(each => each !== null)
  const failures = there.filter(each => 'error' in each)
  const outputs = there.flatMap(each => ('output' in each ? [each.output] : []))
  if (typeof join === 'object') {
    if (join.quorum > results.length)
      return { error: invalid(`${step.id}: a quorum of ${join.quorum} among ${results.length}`) }
    if (outputs.length >= join.quorum) return { output: outputs }
    return failures.length > results.length - join.quorum ? failures[0] : undefined
  }
  if (join === 'all' && failures.length > 0) return failures[0]
  if (there.length < results.length) return undefined
  return { output: join === 'settled' ? there : outputs }
}
