import { TidingsError } from '../errors.ts'
import type { Timeout } from '../tasks/duration.ts'
import type { Callable } from '../tasks/script-context.ts'
import { withType } from './declared.ts'
import type {
  ApproveStep, CallStep, EachStep, EmitStep, Expression, JoinMode, ParallelStep, Target, WhenStep,
} from './definition.ts' // biome-ignore format: one list
import { checkStep } from './option-checks.ts'
import type { ApproveStepOptions, EachStepOptionsWithInput } from './options.ts'
import { typeName, type EventPattern, type TypeOrName } from './patterns.ts'
import { placeholder, toExpression } from './refs.ts'
import type { WorkflowLike } from './scope.ts'

/* The steps of a builder as data. The types of the arguments are those of the methods of `Workflow`. All throw E_APP_INVALID. */

type Select = (scope: never) => unknown
type Named = Callable<never, unknown>

/** What a selector returns, as data. */
export const selected = (select: Select): Expression => toExpression(select(placeholder([])))

export function whenStep(
  workflow: string,
  id: string,
  watch: EventPattern<unknown> | ((scope: never) => EventPattern<unknown>),
  options: { within: Timeout },
): WhenStep {
  checkStep('when', workflow, id, options)
  const { pattern } = typeof watch === 'function' ? watch(placeholder([])) : watch
  return { kind: 'when', id, pattern, within: options.within }
}

export function callStep(
  workflow: string,
  id: string,
  target: Named,
  input: Select,
  options: { within?: Timeout; undo?: { target: Named; input: Select } },
): CallStep {
  checkStep('call', workflow, id, options)
  const { undo, within = '1d' } = options
  return {
    kind: 'call',
    id,
    as: id,
    target: targetOf(target),
    input: selected(input),
    within,
    ...(undo && { undo: { target: targetOf(undo.target), input: selected(undo.input) } }),
  }
}

export function eachStep(workflow: string, id: string, items: Select, target: Named, options: object): EachStep {
  checkStep('each', workflow, id, options)
  const { parallel = 8, join = 'all', within = '1d', input = item => item } = options as AnyEachOptions
  return {
    kind: 'each',
    id,
    as: id,
    items: selected(items),
    target: targetOf(target),
    input: toExpression(input(placeholder(['item']), placeholder([]))),
    parallel,
    join,
    within,
  }
}

type AnyEachOptions = Partial<EachStepOptionsWithInput<never, never, unknown, JoinMode, WorkflowLike>>

export function parallelStep(
  workflow: string,
  id: string,
  targets: Readonly<Record<string, Named>>,
  inputs: Select,
  options: { within?: Timeout },
): ParallelStep {
  checkStep('parallel', workflow, id, options)
  const calls = Object.entries(targets).map(([as, target]) => ({ as, target: targetOf(target) }))
  return { kind: 'parallel', id, calls, input: selected(inputs), within: options.within ?? '1d' }
}

export function approveStep(
  workflow: string,
  id: string,
  what: Select,
  options: Omit<ApproveStepOptions<never, WorkflowLike>, 'otherwise'>,
): ApproveStep {
  checkStep('approve', workflow, id, options)
  const { approvers, within, remind } = options
  return {
    kind: 'approve',
    id,
    as: id,
    what: selected(what),
    within,
    ...(approvers && { who: approvers }),
    ...(remind !== undefined && { remind }),
  }
}

export function emitStep(type: TypeOrName, data: Select): EmitStep {
  const name = typeName(type)
  return withType({ kind: 'emit', id: name, type: name, data: selected(data) }, type)
}

export function startStep(workflow: string, target: Named, input: Select): EmitStep {
  const { kind, name } = targetOf(target)
  if (kind === 'tool')
    throw new TidingsError(
      'E_APP_INVALID',
      `workflow "${workflow}": start() cannot start the tool "${name}"; use call()`,
    )
  const data = { fields: { input: selected(input) } }
  return { kind: 'emit', id: `start ${name}`, type: 'agent.invoke', target: name, data }
}

function targetOf({ kind, name }: Named): Target {
  if (kind === 'agent' || kind === 'tool' || kind === 'workflow') return { kind, name }
  throw new TidingsError(
    'E_APP_INVALID',
    `a workflow cannot call ${kind} "${name}": expected an agent, a tool or a workflow`,
  )
}
