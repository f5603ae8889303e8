import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { correlationOf } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { CorrelationTasks, publishRetry, RetryPlanner, retryRefused, type RetryPlan } from '../../replay/retry.ts'
import type { Turn } from '../../tasks/program.ts'
import { workflowRetryCheck } from './retry-workflow.ts'

/** How long to wait for the children of a failed task to end. */
const childrenTimeoutMs = 10_000

export type RetryResult =
  | { readonly state: 'resumed'; readonly task: string; readonly redelivered: number }
  /** It was retried before; `by` is the source of that retry. */
  | {
      readonly state: 'existing'
      readonly task: string
      readonly retryOf: string
      readonly end: string
      readonly by: string
    }
  | {
      readonly state: 'retried'
      readonly task: string
      readonly retryOf: string
      readonly correlation: string
      readonly program: string
      /** Requests that are repeated. */
      readonly asked: readonly string[]
      /** Answers that arrived after the failure and are used. */
      readonly adopted: readonly string[]
      /** Its child tasks, which continue too. */
      readonly children: readonly string[]
      /** Callers that have an answer and do not get another one. */
      readonly callersAnswered: number
    }

/**
 * Retries a failed task, or redelivers what is parked for a task that has not ended. `source`: who does it.
 * @throws E_NOT_FOUND, E_RETRY_REFUSED
 */
export async function retryTask(bus: Bus, task: string, source: string): Promise<RetryResult> {
  const tasks = await CorrelationTasks.read(bus, correlationOf(task))
  const turn = tasks.get(task)
  if (!turn || turn.end === undefined) return releaseParked(bus, task, turn)
  if (turn.end === 'continued')
    throw retryRefused(
      `task ${task} cannot be retried: it continues as task ${turn.successor}; retry that one if it failed`,
    )
  const next = tasks.retriedAs(task)
  if (next !== undefined)
    return { state: 'existing', ...next, retryOf: task, end: tasks.get(next.task)?.end ?? 'running' }
  const pending = await tasks.pendingWith(task)
  if (pending !== undefined)
    throw retryRefused(
      `task ${task} continues with task ${pending}, the retry of its caller, which has not started yet. ` +
        'It starts when a worker for it runs',
    )
  const plan = await planWhenChildrenEnded(bus, task, tasks)
  const { task: successor, isNew } = await publishRetry(bus, plan, source)
  if (!isNew) {
    const { by = source } = (await CorrelationTasks.read(bus, correlationOf(task))).retriedAs(task) ?? {}
    return { state: 'existing', task: successor, retryOf: task, end: 'running', by }
  }
  const { program, fork, adopted, children, callerAnswered } = plan
  return {
    state: 'retried',
    task: successor,
    retryOf: task,
    correlation: correlationOf(task),
    program,
    asked: fork.reissue.map(describeRequest),
    adopted: adopted.map(({ id }) => id),
    children,
    callersAnswered: callerAnswered ? 1 : 0,
  }
}

export const describeRequest = ({ type, target = '' }: CloudEvent) => `${type} ${target}`.trim()

async function releaseParked(bus: Bus, task: string, turn: Turn | undefined): Promise<RetryResult> {
  const redelivered = await bus.redeliver({ key: `task/${task}` })
  if (redelivered > 0) return { state: 'resumed', task, redelivered }
  if (!turn) throw new TidingsError('E_NOT_FOUND', `task "${task}" is not on the log`)
  throw retryRefused(
    `task ${task} of ${turn.program} has not ended, and nothing is parked for it: it continues when the answer arrives. ` +
      '`tidings attention` shows what it waits for; `tidings attention cancel TASK` cancels it',
  )
}

/** Plans the retry once its child tasks have ended. @throws E_RETRY_REFUSED */
async function planWhenChildrenEnded(bus: Bus, task: string, known: CorrelationTasks): Promise<RetryPlan> {
  const until = Date.now() + childrenTimeoutMs
  for (let tasks = known; ; tasks = await CorrelationTasks.read(bus, correlationOf(task)))
    try {
      return await new RetryPlanner(bus, tasks, workflowRetryCheck(bus)).plan(task)
    } catch (error) {
      const isEarly = error instanceof TidingsError && error.code === 'E_RETRY_REFUSED' && error.retryable
      if (!isEarly || Date.now() > until) throw error
      await setTimeout(100)
    }
}
