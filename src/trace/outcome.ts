import type { CloudEvent } from '../event.ts'
import type { ErrorData } from '../errors.ts'
import { isRuntimeType } from '../bus/admit.ts'
import { isTapped } from '../bus/tapped.ts'
import { httpResponseType, type TappedResponse } from '../bus/tapped-http.ts'
import { taskId } from '../bus/ids.ts'
import type { AnswerTimes, DelayedData, RetriesData } from '../bus/retries.ts'
import { deniedType, grantedType, type ApprovalAnswer } from '../tasks/approval.ts'
import { endOf, type ModelEnd, type ModelResult } from '../tasks/conversation.ts'
import { isInvocation } from '../tasks/fork.ts'
import { countText, elapsed } from './text.ts'
import type { TraceAnswer, TraceUsage, TraceNode, TraceTask } from './tree.ts'

/** State of a request or a task. `abandoned`: the caller no longer waits for the answer. */
export type OutcomeStatus =
  | 'waiting'
  | 'answered'
  | 'failed'
  | 'cancelled'
  | 'expired'
  | 'abandoned'
  | 'running'
  | 'completed'
  | 'continued'

export interface TraceOutcome {
  readonly status: OutcomeStatus
  /** Time from the request to its answer, or from the first turn of a task to its last. */
  readonly ms?: number
  readonly problem?: string
  /** Where the user's code failed, one frame a line. */
  readonly stack?: string
}

export function requestOutcome(node: TraceNode): TraceOutcome | undefined {
  const { event, answers, gatedCall: behind } = node
  if (!isCall(node)) return undefined
  const answer = decisiveAnswer(answers)
  if (!answer) {
    const isOver = isAbandoned(node) || (behind !== undefined && (behind.answers.length > 0 || isAbandoned(behind)))
    return { status: isOver ? 'abandoned' : 'waiting' }
  }
  const { type } = answer.event
  const problem = problemOf(answer.event)
  return {
    status:
      type === 'call.expired'
        ? 'expired'
        : type.endsWith('cancelled')
          ? 'cancelled'
          : problem !== undefined
            ? 'failed'
            : 'answered',
    ms: between(event, answer.event),
    ...(problem !== undefined && { problem }),
    ...stackIn(answer.event),
  }
}

export function taskOutcome({ end, started, ended, ending }: TraceTask): TraceOutcome {
  const problem = ending && problemOf(ending)
  return {
    status: end ?? 'running',
    ...(started !== undefined && ended !== undefined && { ms: ended - started }),
    ...(problem !== undefined && { problem }),
    ...(ending && stackIn(ending)),
  }
}

export function stackIn({ type, data }: Pick<CloudEvent, 'type' | 'data'>): { stack?: string } {
  const stack = type.endsWith('.failed')
    ? (data as { error?: Partial<ErrorData> | null } | null)?.error?.stack
    : undefined
  return typeof stack === 'string' && stack !== '' ? { stack } : {}
}

/** The task that a request by name started. */
export function calledTask({ event, tasks }: TraceNode): TraceTask | undefined {
  if (!isInvocation(event.type) || event.target === undefined) return undefined
  const id = taskId(event.correlationid, event.target, event.id)
  return tasks.find(task => task.id === id)
}

export const between = (from: CloudEvent, to: CloudEvent) => Math.max(0, Date.parse(to.time) - Date.parse(from.time))

/** The problem that a runtime event reports; undefined for success and for user-defined types. */
export function problemOf({ type, data }: CloudEvent): string | undefined {
  if (type === httpResponseType) return httpProblem(data as TappedResponse | null)
  if (!isRuntimeType(type) || !/\.(failed|expired|cancelled|denied)$/.test(type)) return undefined
  const { error, reason } = (data ?? {}) as { error?: Partial<ErrorData>; reason?: unknown }
  if (typeof error?.message === 'string') return error.code ? `${error.code}: ${error.message}` : error.message
  return typeof reason === 'string' ? reason : (decisionText({ type, data }) ?? type)
}

/** A response that did not pass as a whole, or with which a service says that it failed. */
function httpProblem(response: Partial<TappedResponse> | null): string | undefined {
  const { error, status = 0 } = response ?? {}
  if (error) return `${error.code}: ${error.message}`
  return status >= 500 ? `status ${status}` : undefined
}

/** Whether an event of this type reports that something failed, expired or was denied. */
export const isFailureType = (type: string): boolean => /(^|\.)(failed|expired|denied)$/.test(type)

export function decisionText({ type, data }: Pick<CloudEvent, 'type' | 'data'>): string | undefined {
  const { by, comment } = (data ?? {}) as Partial<ApprovalAnswer>
  if ((type !== grantedType && type !== deniedType) || typeof by !== 'string') return undefined
  const why = typeof comment === 'string' ? `: ${comment}` : ''
  return `${type === grantedType ? 'granted' : 'denied'} by ${by}${why}`
}

/** How the answer of a model ended: as a row of it says, or as follows from the answer; undefined if that is not known. */
export function modelEndIn({ type, data }: CloudEvent): ModelEnd | undefined {
  const answer = type === 'model.result' ? (data as (Partial<ModelResult> & { end?: ModelEnd }) | null) : null
  if (typeof answer?.finish !== 'string') return undefined
  return answer.end ?? endOf(answer as ModelResult)
}

/** Why a model's answer is incomplete, such as `length` or `refused (refusal)`; undefined if it is complete. */
export function endText(events: Iterable<CloudEvent>): string | undefined {
  for (const event of events) {
    const end = modelEndIn(event) ?? 'whole'
    const { rawFinish } = (event.data ?? {}) as Partial<ModelResult>
    if (end !== 'whole') return rawFinish === undefined || rawFinish === end ? end : `${end} (${rawFinish})`
  }
  return undefined
}

/** Failed attempts before the answer. */
export function retriesIn(events: Iterable<CloudEvent>): { retries?: RetriesData } {
  for (const { data } of events) {
    const { retries } = (data ?? {}) as { retries?: Partial<RetriesData> | null }
    if (typeof retries?.failures === 'number' && typeof retries.ms === 'number')
      return { retries: { failures: retries.failures, ms: retries.ms } }
  }
  return {}
}

/** How long a worker had the request, in the attempt that this event ended; undefined if the event does not say. */
export function workTime({ data }: CloudEvent): number | undefined {
  const { ranMs } = (data ?? {}) as Partial<AnswerTimes>
  return typeof ranMs === 'number' && ranMs >= 0 ? ranMs : undefined
}

/** `after 3 retries in 2 m`; undefined if the first attempt succeeded. */
export function retriesText(events: Iterable<CloudEvent>): string | undefined {
  const { retries } = retriesIn(events)
  return (
    retries && `after ${countText(retries.failures, 'retry').replace('retrys', 'retries')} in ${elapsed(retries.ms)}`
  )
}

export function delayText({ type, time, data }: CloudEvent): string | undefined {
  const { attempts, until, error } = (data ?? {}) as Partial<DelayedData>
  if (!/^(tool|model)\.delayed$/.test(type) || typeof until !== 'string' || typeof error?.message !== 'string')
    return undefined
  const what = attempts === 0 ? 'waits' : `attempt ${attempts} failed, next in`
  return `${what} ${elapsed(Math.max(0, Date.parse(until) - Date.parse(time)))}: ${error.code}: ${error.message}`
}

/** Tokens and cost that models reported. */
export function usageOf(events: Iterable<CloudEvent>): TraceUsage {
  let tokens = 0
  let cost = 0
  for (const { type, data } of events) {
    if (type !== 'model.result') continue
    const result = data as { usage?: { input?: unknown; output?: unknown } | null; cost?: unknown } | null
    tokens += amount(result?.usage?.input) + amount(result?.usage?.output)
    cost += amount(result?.cost)
  }
  return { tokens, cost }
}

/** Usage of a task's own requests, without the tasks that it called. */
export const usageOfTask = (task: TraceTask) =>
  usageOf(task.nodes.flatMap(node => node.answers.map(answer => answer.event)))

const isAbandoned = ({ cancellation, by }: TraceNode) => cancellation !== undefined || by?.task.end !== undefined

/** The answer that counts: the one that was taken, else one that no turn has processed yet. */
export const decisiveAnswer = (answers: readonly TraceAnswer[]) =>
  answers.find(answer => answer.verdict === 'taken') ?? answers.find(answer => answer.verdict === 'open')

// A continuation passes on the caller of its task, so it never gets an answer of its own.
const isCall = ({ event, answers }: TraceNode) =>
  answers.length > 0 ||
  event.type === 'timer.set' ||
  isTapped(event) ||
  (event.replyto !== undefined && event.call === undefined)

/** A number that a provider reported; 0 for anything else. */
export const amount = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : 0)
