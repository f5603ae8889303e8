import {
  aTimeout, aCount, aDuration, aFunction, aList, anObject, anything, aSchema, aText, checkOptions, oneOf, optionsOf, type Check,
} from '../options.ts' // biome-ignore format: one list
import type { JoinMode } from './definition.ts'
import type {
  ApproveStepOptions,
  CallStepOptions,
  EachStepOptionsWithInput,
  ParallelStepOptions,
  WhenStepOptions,
} from './options.ts'
import type { WorkflowLike } from './scope.ts'

const otherwise = aFunction
const joined = oneOf('all', 'settled')

const when = { within: aTimeout, otherwise } satisfies Record<
  keyof WhenStepOptions<unknown, unknown, WorkflowLike>,
  Check
>
const call = { within: aTimeout, undo: optionsOf({ target: anything, input: aFunction }), otherwise } satisfies Record<
  keyof CallStepOptions<unknown, string, unknown, unknown, WorkflowLike>,
  Check
>
const each = {
  input: aFunction,
  parallel: aCount,
  join: value => (typeof value === 'object' ? anObject(value) : joined(value)),
  within: aTimeout,
  otherwise,
} satisfies Record<keyof EachStepOptionsWithInput<unknown, unknown, unknown, JoinMode, WorkflowLike>, Check>
const parallel = { within: aTimeout, otherwise } satisfies Record<
  keyof ParallelStepOptions<unknown, WorkflowLike>,
  Check
>
const approve = { approvers: aList, within: aTimeout, remind: aDuration, otherwise } satisfies Record<
  keyof ApproveStepOptions<unknown, WorkflowLike>,
  Check
>

const steps = { when, call, each, parallel, approve } as const

/** @throws E_APP_INVALID for unknown options of a step and wrong types */
export function checkStep(kind: keyof typeof steps, workflow: string, step: string, options: object): void {
  const required = kind === 'when' || kind === 'approve' ? ['within'] : []
  checkOptions(`workflow "${workflow}", step "${step}"`, options, steps[kind], required)
}

/** @throws E_APP_INVALID */
export function checkWorkflow(name: string, options: object): void {
  const checks = { description: aText, within: aTimeout, version: aCount, key: aList, on: anything, input: aSchema }
  checkOptions(`workflow "${name}"`, options, checks, ['within'])
}
