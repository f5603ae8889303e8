import type { AnyEventType } from '../event.ts'
import {
  aCount,
  aFlag,
  aFunction,
  aList,
  anything,
  aSchema,
  aText,
  aTimeout,
  describeValue,
  oneOf,
  optionsOf,
  type Check,
} from '../options.ts'
import { isType, isTypePattern } from '../pattern.ts'
import { settingChecks } from '../tasks/model-settings.ts'
import type { CommonAgentOptions, ModelAgentOptions, ProgramAgentOptions, ScriptAgentOptions } from './agent-options.ts'
import type { FinishRules } from './finish.ts'
import type { GuardOptions } from './guard.ts'
import type { ModelTool } from './loop-tools.ts'

/* What `agent()` accepts for each option, at run time. */

const common = {
  on: aTypePattern,
  input: aSchema,
  version: aCount,
  description: aText,
  maxUnfinished: aCount,
} satisfies Record<keyof CommonAgentOptions, Check>

const scriptChecks = { ...common, run: aFunction, waitsFor: typesOnly, maxTurns: aCount } satisfies Record<
  keyof ScriptAgentOptions<never, unknown>,
  Check
>

const programChecks = { ...common, init: aFunction, evolve: aFunction, decide: aFunction } satisfies Record<
  keyof ProgramAgentOptions<unknown>,
  Check
>

const modelChecks = {
  ...common,
  model: anything,
  instructions: value => (typeof value === 'function' ? undefined : aText(value)),
  prompt: aFunction,
  tools: toolsOf,
  output: aSchema,
  outputMode: oneOf('schema', 'tool'),
  maxSteps: aCount,
  window: aCount,
  maxContextTokens: aCount,
  within: aTimeout,
  parallelTools: aFlag,
  toolChoice: anything,
  cache: aFlag,
  guard: optionsOf({ input: aGuard, output: aGuard } satisfies Record<keyof GuardOptions, Check>),
  ...settingChecks,
  finish: optionsOf({
    length: oneOf('continue', 'fail', 'accept'),
    empty: oneOf('continue', 'fail', 'accept'),
    filtered: oneOf('fail', 'accept'),
    refused: oneOf('fail', 'accept'),
    other: oneOf('fail', 'accept'),
  } satisfies Record<keyof FinishRules, Check>),
} satisfies Record<keyof ModelAgentOptions<unknown>, Check>

/** The checks and required options for the form of an agent. */
export function formOf(options: object): [Readonly<Record<string, Check>>, readonly string[]] {
  if ('run' in options) return [scriptChecks, ['run']]
  if ('decide' in options) return [programChecks, ['init', 'evolve', 'decide']]
  if (['model', 'instructions', 'tools', 'output'].some(name => name in options)) return [modelChecks, ['instructions']]
  // The form is unknown, so a misspelt option may belong to any.
  return [{ ...programChecks, ...modelChecks, ...scriptChecks }, ['run']]
}

function aGuard(value: unknown): string | undefined {
  const { kind } = (value ?? {}) as { kind?: unknown }
  return kind === 'tool' || kind === 'agent' || kind === 'workflow'
    ? undefined
    : `must be what tool(), agent() or workflow() gives, not ${describeValue(value)}`
}

function toolsOf(value: unknown): string | undefined {
  const problem = aList(value)
  if (problem !== undefined) return problem
  const kinds: unknown[] = ['tool', 'agent', 'workflow', 'handover'] satisfies ModelTool['kind'][]
  const wrong = (value as unknown[]).findIndex(
    each => !kinds.includes((each as { kind?: unknown } | null | undefined)?.kind),
  )
  if (wrong < 0) return undefined
  return `must be a list of what tool(), agent(), workflow() or handover() gives; its entry ${wrong} is something else`
}

function typesOnly(value: unknown): string | undefined {
  const isList = Array.isArray(value) && value.every(each => isType((each as AnyEventType | null)?.type ?? each))
  return isList ? undefined : 'must be a list of event types, which are no patterns'
}

function aTypePattern(value: unknown): string | undefined {
  const list = [value].flat()
  const wrong = list.findIndex(each => !isTypePattern((each as { type?: unknown } | null | undefined)?.type ?? each))
  if (wrong < 0) return undefined
  return `must be types of events or patterns such as "order.*", not ${describeValue(list[wrong])}`
}
