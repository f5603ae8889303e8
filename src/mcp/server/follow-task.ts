import { findApproval, isOpen } from '../../tasks/approval-find.ts'
import type { TaskHandle } from '../../ask/handle.ts'
import type { StreamPart } from '../../ask/parts.ts'
import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { CallError } from '../../tasks/script.ts'
import type { WaitingApproval } from './elicitation.ts'

/** How long a call waits while a person has a form in front of them. */
const formWaitMs = 10 * 60_000
/** Calls that end by then need no stream. */
const shortWaitMs = 250

/** What the end of a task is for the client that waits. */
export interface OutcomeReader<Result> {
  resultOf(output: unknown): Promise<Result>
  failureOf(error: CallError): Result
}

export interface FollowOptions<Result> {
  readonly bus: Bus
  readonly outcome: OutcomeReader<Result>
  /** Aborts when the client does not wait any more. */
  readonly signal: AbortSignal
  /** How long to wait for the end of the task; infinite without a bound. */
  readonly waitMs: number
  /** Gets the parts of the stream of the task, for progress. */
  readonly onPart?: ((part: StreamPart) => void) | undefined
  /** The stream of the task, if it was opened before. */
  readonly stream?: ((signal: AbortSignal) => AsyncIterable<StreamPart>) | undefined
  /** Whether to stop at a request for approval, wait longer for it because the client shows a form, or go on. */
  onApproval(approval: WaitingApproval): Promise<'stop' | 'wait' | 'ignore'>
}

/** How far a call followed its task. */
export type Followed<Result> =
  | { readonly kind: 'ended'; readonly result: Result }
  | { readonly kind: 'stopped'; readonly approval: WaitingApproval }
  /** `waitsFor`: requests for approval that others must answer. */
  | { readonly kind: 'running'; readonly waitsFor: readonly WaitingApproval[] }

/** Follows a task from its beginning until it ends, or nobody waits any more. @throws E_NOT_FOUND, E_BUS_CLOSED, E_LOG_UNAVAILABLE */
export async function followTask<Result>(task: TaskHandle, options: FollowOptions<Result>): Promise<Followed<Result>> {
  const {
    bus,
    outcome,
    signal,
    waitMs,
    onPart,
    stream = (until: AbortSignal) => task.stream({ signal: until }),
  } = options
  const short = onPart ? 0 : Math.min(waitMs, shortWaitMs)
  const early = short > 0 ? await endWithin(task, short, outcome) : undefined
  if (early) return { kind: 'ended', result: early.result }
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const waitAtMost = (ms: number) => {
    clearTimeout(timer)
    if (Number.isFinite(ms)) timer = setTimeout(() => late.abort(), ms)
  }
  waitAtMost(waitMs - short)
  const waiting = new Map<string, WaitingApproval>()
  const either = AbortSignal.any([signal, late.signal])
  try {
    for await (const part of stream(either)) {
      onPart?.(part)
      if (part.type === 'answer' && waiting.delete(part.call)) waitAtMost(waitMs)
      if (part.type !== 'approval') continue
      const approval = { id: part.call, ...part }
      if (!(await isWaiting(bus, part.call))) continue
      const decision = await options.onApproval(approval)
      if (decision === 'stop') return { kind: 'stopped', approval }
      if (decision === 'wait') waitAtMost(formWaitMs)
      waiting.set(part.call, approval)
    }
    if (either.aborted) return { kind: 'running', waitsFor: [...waiting.values()] }
    return { kind: 'ended', result: await outcome.resultOf(await task.result()) }
  } catch (error) {
    if (!(error instanceof CallError)) throw error
    return { kind: 'ended', result: outcome.failureOf(error) }
  } finally {
    clearTimeout(timer)
  }
}

/** The result of a task that ends within this time. */
async function endWithin<Result>(
  task: TaskHandle,
  ms: number,
  { resultOf, failureOf }: OutcomeReader<Result>,
): Promise<{ readonly result: Result } | undefined> {
  let output: unknown
  try {
    output = await task.result({ within: ms })
  } catch (error) {
    if (error instanceof TidingsError && error.code === 'E_RESULT_PENDING') return undefined
    if (!(error instanceof CallError)) throw error
    return { result: failureOf(error) }
  }
  return { result: await resultOf(output) }
}

/** Whether a request for approval has no answer yet, also none that its task has not read. */
async function isWaiting(bus: Bus, id: string): Promise<boolean> {
  const { request, answer, claim } = await findApproval(bus, id)
  return !answer && !claim && (await isOpen(bus, request))
}
