import { TidingsError } from '../errors.ts'
import { assertName } from '../pattern.ts'
import type { CloudEvent } from '../event.ts'
import { jsonOf, type Json } from '../json.ts'
import { neverJson, validatedValue, type Schema } from '../schema.ts'
import {
  aCount,
  aDuration,
  aFlag,
  aFunction,
  aList,
  aSchema,
  aText,
  checkOptions,
  invalidAt,
  optionsOf,
  type Check,
} from '../options.ts'
import type { Duration } from '../tasks/duration.ts'
import { checkedApprovers } from '../tasks/approval.ts'
import { aRetry, type RetryOptions } from '../tasks/retry.ts'
import type { Callable } from '../tasks/script-context.ts'

/** What a tool gets in addition to its input. */
export interface ToolContext {
  /** Aborts on timeout and on cancellation. */
  readonly signal: AbortSignal
  /** The same for every attempt of a call. Pass it to services that can deduplicate by it. */
  readonly idempotencyKey: string
  readonly attempt: number
  readonly event: CloudEvent
  /**
   * The content of a blob, such as an attachment of a mail.
   * @throws E_BLOB_MISSING
   * @example const text = new TextDecoder().decode(await context.blob('sha256-…'))
   */
  blob(reference: string): Promise<Uint8Array>
  /**
   * Reports progress as a signal, which is not stored.
   * @example context.progress({ pages: 3, of: 10 })
   */
  progress(data: unknown): void
}

/** What a tool does, what it accepts and returns, and how its calls are limited and retried. */
export interface ToolOptions<Input, Returned, Given = unknown, Output = Returned> {
  /** Tells models what the tool does and when to use it. */
  description: string
  /** Callers pass its input side, `run` gets its output side. */
  input: Schema<Input, Given>
  /** `run` returns its input side, callers get its output side. */
  output?: Schema<Output, Returned>
  run(input: Input, context: ToolContext): Returned | Promise<Returned>
  /** Maximum number of runs at once, over all workers of the log. Default: 256 in each process. */
  limit?: number
  /** Maximum number of starts per duration in each process. */
  rate?: { count: number; per: Duration }
  /** Maximum time of one run, without time in queues. Default one minute. */
  timeout?: Duration
  /** How to retry after an error or timeout. Default: no retry, the agent gets the first failure. */
  retry?: RetryOptions
  /** Never starts twice. After a crash while it runs, the call fails with E_TOOL_OUTCOME_UNKNOWN. */
  atMostOnce?: boolean
  /** A person must approve each call, or those for whose input the function returns `true`. */
  approval?: true | ApprovalCondition<Input>
  /** Names of those who may answer. Default: everyone with an identity. */
  approvers?: readonly string[]
  /** Raise it when the same input has other effects: pending approvals are then requested again. Default 1. */
  version?: number
  /** Has no effects, so redrives and forks may run it by default. */
  readOnly?: boolean
  /** Blocks its thread, so it runs in a worker thread that loads the module of the app. */
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
  version: aCount,
  readOnly: aFlag,
  blocking: aFlag,
} satisfies Record<keyof ToolOptions<unknown, unknown>, Check>

// Declared as a method, whose parameters are bivariant: a tool is used where its input type is unknown.
type ApprovalCondition<Input> = { demand(input: Input): boolean }['demand']

/** What `tool()` returns. Pass it to `app({ use })`, to `ctx.call`, and to the `tools` of an agent. */
export interface Tool<Given = unknown, Output = unknown> extends Callable<Given, Output> {
  readonly kind: 'tool'
  readonly options: ToolOptions<unknown, unknown>
}

/** A tool of any input and output type. */
export interface AnyTool extends Callable<never, unknown> {
  readonly kind: 'tool'
  readonly options: ToolOptions<unknown, unknown>
  /** The MCP server that has the tool. */
  readonly mcp?: { readonly server: string }
  /** Set while the tool runs on something that may be away, such as an MCP server. */
  readonly remote?: RemoteRuns
}

/** What the runs of a tool need of what it runs on. */
export interface RemoteRuns {
  /** Why a call cannot start now, undefined if it can: until when it is delayed, or the key under which it is parked. */
  hold(): Promise<
    | { readonly error: TidingsError; readonly after: number }
    | { readonly error: TidingsError; readonly key: string }
    | undefined
  >
  /** What an earlier run of the call left running elsewhere, if its worker stored that. */
  started(idempotencyKey: string): Promise<string | undefined>
  /** Waits for the end of what an earlier run left, instead of starting it again. */
  resume(started: string, context: ToolContext): Promise<unknown>
}

/**
 * A tool under its name, dotted lower-case words. Hosted by every worker whose app uses it.
 *
 * @example
 * const quote = tool('quote', {
 *   description: 'Asks for a price.',
 *   input: z.object({ item: z.string(), count: z.number().default(1) }),
 *   output: z.object({ cents: z.number() }),
 *   retry: { maxAttempts: 3 },
 *   run: async ({ item, count }, { signal }) => (await fetch(`${url}/${item}?count=${count}`, { signal })).json(),
 * })
 * @throws E_APP_INVALID
 */
export function tool<Input, Returned, Given = Input, Output = Returned>(
  name: string,
  options: ToolOptions<Input, Returned, Given, Output>,
): Tool<Given, Output> {
  assertName(name, 'a tool name')
  checkOptions(`tool "${name}"`, options, checks, ['description', 'input', 'run'])
  const never = neverJson(options.input)
  if (never !== undefined)
    throw invalidAt(
      `tool "${name}"`,
      `input ${never}: an input is JSON, which has no such value. Take a text, as in z.iso.datetime(), or coerce`,
    )
  const { approval, approvers } = options
  if (approvers && approval === undefined)
    throw new TidingsError(
      'E_APP_INVALID',
      `tool "${name}" has approvers but needs no approval: set approval, or remove approvers`,
    )
  if (approvers) checkedApprovers(approvers, `the tool ${name}`)
  return { kind: 'tool', name, options }
}

/** Runs a tool and copies its output at once, because the tool may change it later. @throws E_TOOL_OUTPUT, and what the tool throws */
export async function runTool({ name, options }: AnyTool, input: unknown, context: ToolContext): Promise<Json> {
  const running = options.run(input, context)
  const returned = isPromise(running) ? await running : running
  const toJson = (output: unknown) => jsonOf(output, `"${name}" returned a value that is not JSON`, 'E_TOOL_OUTPUT')
  if (!options.output) return toJson(returned)
  const checking = options.output['~standard'].validate(returned)
  return toJson(validatedValue(checking instanceof Promise ? await checking : checking, 'E_TOOL_OUTPUT', name))
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
