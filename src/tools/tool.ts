import { TidingsError } from '../errors.ts'
import { assertName } from '../pattern.ts'
import type { CloudEvent } from '../event.ts'
import { neverJson, type Schema } from '../schema.ts'
import {
  aCount,
  aDuration,
  aFlag,
  aFunction,
  aList,
  anything,
  aSchema,
  aText,
  checkOptions,
  invalidAt,
  optionsOf,
  type Check,
} from '../options.ts'
import type { Duration } from '../tasks/duration.ts'
import { checkedApprovers } from '../tasks/approval.ts'
import { aRetry, RetryPolicy, type RetryOptions } from '../tasks/retry.ts'
import type { Callable } from '../tasks/script.ts'

/** What a tool's code gets beside its input. */
export interface ToolContext {
  /** Aborts on timeout and when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  /** The same for every attempt of one call: hand it to whatever can deduplicate by it. */
  readonly idempotencyKey: string
  readonly attempt: number
  readonly event: CloudEvent
  /** The bytes that an event names by a reference, such as an attachment of a mail. @throws E_BLOB_MISSING */
  blob(reference: string): Promise<Uint8Array>
  /** Says how far it is. Heard by whoever listens now; kept nowhere. */
  progress(data: unknown): void
}

export interface ToolOptions<Input, Output> {
  /** For models: what it does and when to use it. */
  description: string
  input: Schema<Input>
  output?: Schema<Output>
  run(input: Input, context: ToolContext): Output | Promise<Output>
  /** Most runs at once, over all workers of the log. Default: 256 in each process. */
  limit?: number
  /** Most starts per duration in each process: with several workers the sum is approximate. */
  rate?: { count: number; per: Duration }
  /** From start, not from queueing. Default one minute. */
  timeout?: Duration
  /** When it throws or times out. Default: never, the agent sees the first failure. */
  retry?: RetryOptions
  /** Never started twice: a crash in the middle answers E_TOOL_OUTCOME_UNKNOWN. */
  atMostOnce?: boolean
  /** Asks a person before it runs: about each call, or about those whose input this says `true` to. */
  approval?: true | ApprovalCondition<Input>
  /** Names of those who may answer. Default: whoever has an identity. */
  approvers?: readonly string[]
  /** Raise it when the same input does something else: approvals that are pending then must be asked for again. Default 1. */
  version?: number
  /** Changes nothing anywhere: a redrive or a fork may run it without being told so. */
  readOnly?: boolean
  /** Blocks its thread: runs in a worker thread, which loads the app's module again. */
  blocking?: boolean
}

const checks = {
  description: aText,
  input: aSchema,
  output: aSchema,
  run: aFunction,
  limit: aCount,
  rate: optionsOf({ count: aCount, per: aDuration }),
  timeout: aDuration,
  retry: aRetry,
  atMostOnce: aFlag,
  approval: value => (value === true ? undefined : aFunction(value)),
  approvers: aList,
  version: anything,
  readOnly: aFlag,
  blocking: aFlag,
} satisfies Record<keyof ToolOptions<unknown, unknown>, Check>

// As the type of a method: a tool is used where its input is not known.
type ApprovalCondition<Input> = { demand(input: Input): boolean }['demand']

export interface Tool<Input = unknown, Output = unknown> extends Callable<Input, Output> {
  readonly kind: 'tool'
  readonly options: ToolOptions<Input, Output>
}

/** A tool whatever its types are: what hosts and apps take. */
export interface AnyTool extends Callable<never, unknown> {
  readonly kind: 'tool'
  readonly options: ToolOptions<unknown, unknown>
}

/** A tool under its name, dotted lower-case words. Hosted by every worker whose app uses it. @throws E_APP_INVALID */
export function tool<Input, Output>(name: string, options: ToolOptions<Input, Output>): Tool<Input, Output> {
  assertName(name, 'a tool name')
  checkOptions(`tool "${name}"`, options, checks, ['description', 'input', 'run'])
  const never = neverJson(options.input)
  if (never !== undefined)
    throw invalidAt(
      `tool "${name}"`,
      `input ${never}: an input is JSON, which has no such value. Take a text, as in z.iso.datetime(), or coerce`,
    )
  const { approval, approvers, version = 1 } = options
  if (!Number.isSafeInteger(version) || version < 1)
    throw new TidingsError(
      'E_APP_INVALID',
      `the version of the tool ${name} must be a whole number from 1, not ${version}`,
    )
  if (approvers && approval === undefined)
    throw new TidingsError('E_APP_INVALID', `the tool ${name} has approvers, and asks for no approval`)
  if (approvers) checkedApprovers(approvers, `the tool ${name}`)
  if (options.retry) toolRetryPolicy({ name, options })
  return { kind: 'tool', name, options }
}

/** Undefined where the first failure is the answer: so it is without `retry`, and of a tool that runs at most once. */
export function toolRetryPolicy({
  name,
  options,
}: {
  name: string
  options: AnyTool['options']
}): RetryPolicy | undefined {
  return options.retry && !options.atMostOnce ? new RetryPolicy(`tool ${name}`, options.retry) : undefined
}
