import { failure, type ErrorData } from '../errors.ts'
import type { EachStep, ParallelStep, Target } from './definition.ts'
import { evaluate, type Scope } from './evaluate.ts'
import type { CallOutcome } from '../tasks/outcome.ts'

/* Concurrent calls: one for each item of each(), one for each name of parallel(). */

export type FanStep = EachStep | ParallelStep
/** The items to call for; undefined if the value is not a list. */
export function fanItems(step: FanStep, scope: Scope): unknown[] | undefined {
  if (step.kind === 'each') {
    const items = evaluate(step.items, scope)
    return Array.isArray(items) ? items : undefined
  }
  const inputs = (evaluate(step.input, scope) ?? {}) as Scope
  return step.calls.map(({ as }) => inputs[as])
}

export const maxConcurrentCalls = (step: FanStep) => (step.kind === 'each' ? step.parallel : step.calls.length)

export function callFor(step: FanStep, item: unknown, index: number, scope: Scope): { target: Target; input: unknown } {
  if (step.kind === 'each') return { target: step.target, input: evaluate(step.input, { ...scope, item }) }
  return { target: step.calls[index]!.target, input: item }
}

/** The outputs by the name under which they are stored. */
export const outputsByName = (step: FanStep, outputs: readonly unknown[]): Record<string, unknown> =>
  step.kind === 'each'
    ? { [step.as]: outputs }
    : Object.fromEntries(step.calls.map(({ as }, index) => [as, outputs[index]]))

/**
 * The joined result, or undefined while it is not certain.
 * @param results the result of each item, null while it is open
 */
export function joinResults(
  step: FanStep,
  results: readonly (CallOutcome | null)[],
): { output: unknown[] } | { error: ErrorData } | undefined {
  const join = step.kind === 'each' ? step.join : 'all'
  const settled = results.filter(each => each !== null)
  const failures = settled.filter(each => 'error' in each)
  const outputs = settled.flatMap(each => ('output' in each ? [each.output] : []))
  if (typeof join === 'object') {
    const { quorum } = join
    if (quorum > results.length) {
      const problem = `${step.id}: the quorum of ${quorum} is larger than the number of items, ${results.length}`
      return { error: failure('E_WORKFLOW_VALUE', problem) }
    }
    if (outputs.length >= quorum) return { output: outputs }
    return failures.length > results.length - quorum ? failures[0] : undefined
  }
  if (join === 'all' && failures.length > 0) return failures[0]
  if (settled.length < results.length) return undefined
  return { output: join === 'settled' ? settled : outputs }
}
