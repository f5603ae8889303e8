import type { Askable } from '../ask/client.ts'
import type { Bus } from '../bus/bus.ts'
import { assertName } from '../pattern.ts'
import {
  aCount,
  aDuration,
  aFunction,
  aList,
  anObject,
  aText,
  checkOptions,
  must,
  oneOf,
  optionsOf,
  type Check,
} from '../options.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import { effects, type Effect } from '../tasks/effects.ts'
import type { RollbackCriteria } from './criteria.ts'
import type { CompareOptions } from './differences.ts'

/** What has a log: what `start()` and `connect()` return. */
export interface HasLog {
  readonly bus: Bus
  /** Called by `close` of a strangler that opened the log itself. */
  close?(): Promise<void>
}

/** What `old` gets besides the input. */
export interface OldContext {
  /** Of this request on the log: a tapped client that sends it on is shown, and compared, as a part of the request. */
  readonly correlationid: string
}

/** When the candidate is taken out of use automatically. Name only what shall be checked. */
export interface RollbackOptions {
  /** The highest share of its requests that may fail, such as 0.02. */
  errorRate?: number
  /** What 95 % of its answers must not exceed. */
  p95?: Duration
  /** The lowest share of compared answers that must agree, in each field, such as 0.98. What `old` itself varies in does not count. */
  parity?: number
  /** What is judged: the requests of the last minute, by default. */
  window?: Duration
  /** How many requests of the window a judgement needs. Default 50. */
  minRequests?: number
}

/** A synchronous function, and what is to take its place. */
export interface StranglerOptions<Input, Output> {
  /** The code that answers today. */
  old: (input: Input, context: OldContext) => Output | Promise<Output>
  /** The agent or workflow that is to take over: what `agent()` or `workflow()` returned, or its name if another process hosts it. */
  candidate: Askable<Input, Output> | string
  /**
   * By what requests stay on a side: a user, a tenant, or any text. Of several, the first one decides, and all of them can be on the lists of
   * `tidings strangler set`. Without a key, each request is on a side of its own.
   */
  key?: (input: Input) => string | readonly string[] | undefined
  /**
   * Whether it does no harm to run `old` for this input once more, or after the candidate. Such requests tell noise from differences, and
   * are answered by `old` when the candidate does not answer. Default false.
   */
  repeatable?: boolean | ((input: Input) => boolean)
  /** How answers are compared. Default: every field must be equal. */
  compare?: CompareOptions
  /** What tools, models and steps may do for mirrored requests, by `tool/NAME`, `model/NAME`, `step/AGENT`. Default: as in a redrive. */
  effects?: Readonly<Record<string, Effect>>
  /** Answers in place of tools, models and steps, for mirrored requests. */
  stubs?: Readonly<Record<string, unknown>>
  /** How long the candidate may take; then its task is cancelled. Default 1m. */
  within?: Duration
  /** How many mirrored requests may be in flight in this process; more are not mirrored, and counted. Default 16. */
  maxMirrors?: number
  rollback?: RollbackOptions
  /** The log: what `start()` or `connect()` returned, or a function that opens it. Default: connects to TIDINGS_BUS. */
  log?: HasLog | (() => Promise<HasLog>)
}

const aShare = must('a number from 0 to 1', value => typeof value === 'number' && value >= 0 && value <= 1)

const aRollback = optionsOf({
  errorRate: aShare,
  p95: aDuration,
  parity: aShare,
  window: aDuration,
  minRequests: aCount,
} satisfies Record<keyof RollbackOptions, Check>)

const anEffect = oneOf(...effects)
export const effectRules: Check = value =>
  anObject(value) ??
  Object.values(value as object)
    .map(anEffect)
    .find(problem => problem !== undefined)

export const aCandidate = must(
  'an agent, a workflow, or the name of one',
  value => typeof value === 'string' || ['agent', 'workflow'].includes((value as { kind?: string } | null)?.kind ?? ''),
)
export const aCompare = optionsOf({ ignore: aList, fields: anObject } satisfies Record<keyof CompareOptions, Check>)

const checks = {
  old: aFunction,
  candidate: aCandidate,
  key: aFunction,
  repeatable: must('true, false or a function', value => typeof value === 'boolean' || typeof value === 'function'),
  compare: aCompare,
  effects: effectRules,
  stubs: anObject,
  within: aDuration,
  maxMirrors: aCount,
  rollback: aRollback,
  log: must(
    'what start() or connect() returned, or a function',
    value => typeof value === 'object' || typeof value === 'function',
  ),
} satisfies Record<keyof StranglerOptions<unknown, unknown>, Check>

/** Checks the options, and fills in what is left out. @throws E_APP_INVALID */
export function settingsOf<Input, Output>(name: string, options: StranglerOptions<Input, Output>) {
  assertName(name, 'a strangler name')
  checkOptions(`strangler("${name}")`, options, checks, ['old', 'candidate'])
  const { candidate, repeatable = false, within = '1m', maxMirrors = 16, rollback } = options
  return {
    ...options,
    name,
    candidate: typeof candidate === 'string' ? candidate : candidate.name,
    isRepeatable: typeof repeatable === 'function' ? falseIfItThrows(repeatable) : () => repeatable,
    withinMs: milliseconds(within),
    maxMirrors,
    criteria: rollback && criteriaOf(rollback),
  }
}

/** Code that errs must not fail a request that was answered. */
const falseIfItThrows =
  <Input>(test: (input: Input) => boolean) =>
  (input: Input): boolean => {
    try {
      return test(input) === true
    } catch {
      return false
    }
  }

function criteriaOf({ errorRate, p95, parity, window = '1m', minRequests = 50 }: RollbackOptions): RollbackCriteria {
  return {
    ...(errorRate !== undefined && { errorRate }),
    ...(p95 !== undefined && { p95: milliseconds(p95) }),
    ...(parity !== undefined && { parity }),
    window: milliseconds(window),
    minRequests,
  }
}

export type StranglerSettings<Input, Output> = ReturnType<typeof settingsOf<Input, Output>>

/** Who asks, and on whose behalf. */
export interface StranglerRunOptions {
  /** In place of what `key` makes of the input: by what the request stays on a side. */
  key?: string | readonly string[]
  /** The tenant and user of the events of the request. */
  tenant?: string
  user?: string
}

export const checkRun = optionsOf({
  key: must('a text or a list of texts', value => typeof value === 'string' || Array.isArray(value)),
  tenant: aText,
  user: aText,
} satisfies Record<keyof StranglerRunOptions, Check>)
