import { setTimeout } from 'node:timers/promises'
import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { correlationOf, parseId } from '../bus/ids.ts'
import { TidingsError, toTidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { CorrelationTasks, publishRetry, RetryPlanner, retryRefused, type RetryPlan } from '../replay/retry.ts'
import { hostsOn } from '../tasks/hosts.ts'
import type { Turn } from '../tasks/program.ts'
import { didYouMean } from '../suggest.ts'
import type { FailureFilter } from '../trace/index/rows.ts'
import { countText, dim, printable } from '../trace/text.ts'
import { findFailed, failedSince, type FailedTask } from './failed-tasks.ts'
import { hasWorker } from '../tasks/hosts.ts'
import { assertEverHosted } from './hosted.ts'
import { resolveTask, withExistingLog } from './log.ts'
import { printResult, print, usageError, type GlobalOptions } from './output.ts'
import { workflowRetryCheck } from './retry-workflow.ts'
import { parseTime } from './selection.ts'

export interface RetryCommandOptions extends GlobalOptions {
  agent?: string
  code?: string
  since?: string
  until?: string
  yes?: boolean
}

/** How long to wait for the children of a failed task to end. */
const childrenTimeoutMs = 10_000
const maxConcurrentRetries = 8

/** `tidings retry TASK`, `tidings retry --agent NAME --code CODE --since 1h` */
export async function retryCommand(which: string | undefined, options: RetryCommandOptions): Promise<void> {
  const { agent, code, since, until } = options
  const filters = [agent, code, since, until].filter(each => each !== undefined)
  if ((which === undefined) === (filters.length === 0))
    throw usageError(
      'expected either a task (tidings retry TASK) or a filter: --agent NAME, --code CODE, --since 1h, --until TIME',
    )
  await withExistingLog(async bus => {
    if (which === undefined) return retryMany(bus, options)
    const retried = await retryOne(bus, await resolveTask(bus, which))
    await printResult(options, retried, describeResult(retried))
    if (retried.state === 'retried' && !options.json) await printIfNoWorker(bus, retried.program)
  })
}

type RetryResult =
  | { readonly state: 'resumed'; readonly task: string; readonly redelivered: number }
  /** It was retried before. */
  | { readonly state: 'existing'; readonly task: string; readonly retryOf: string; readonly end: string }
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

/** @throws E_NOT_FOUND, E_RETRY_REFUSED */
async function retryOne(bus: Bus, task: string): Promise<RetryResult> {
  const tasks = await CorrelationTasks.read(bus, correlationOf(task))
  const turn = tasks.get(task)
  if (!turn || turn.end === undefined) return releaseParked(bus, task, turn)
  if (turn.end === 'continued')
    throw retryRefused(
      `task ${task} cannot be retried: it continues as task ${turn.successor}; retry that one if it failed`,
    )
  const next = tasks.retriedAs(task)
  if (next !== undefined)
    return { state: 'existing', task: next, retryOf: task, end: tasks.get(next)?.end ?? 'running' }
  const pending = await tasks.pendingWith(task)
  if (pending !== undefined)
    throw retryRefused(
      `task ${task} continues with task ${pending}, the retry of its caller, which has not started yet. ` +
        'It starts when a worker for it runs',
    )
  const plan = await planWhenChildrenEnded(bus, task, tasks)
  const { task: successor, isNew } = await publishRetry(bus, plan)
  if (!isNew) return { state: 'existing', task: successor, retryOf: task, end: 'running' }
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

async function retryMany(bus: Bus, options: RetryCommandOptions): Promise<void> {
  const { agent, code, since, until, yes, json } = options
  const filter = {
    since: since === undefined ? failedSince() : parseTime(since),
    ...(until !== undefined && { until: parseTime(until) }),
    ...(agent !== undefined && { program: agent }),
  }
  const found = await findFailed(bus, filter, code)
  if (found.length === 0 && agent !== undefined) await assertEverHosted(bus, 'agent', agent)
  const { own, withCallers } = withoutChildren(found)
  const suggestion = found.length === 0 && !json ? await codeSuggestion(bus, filter, code) : '.'
  const summary = found.length === 0 ? [`No failed task matches${suggestion}`] : countLines(own, withCallers)
  if (!json) await print(summary.join('\n'))
  if (!yes) {
    if (own.length === 0 && !json) return
    const record = { found: own.length, withCallers, tasks: own.map(({ task }) => task) }
    return printResult(options, record, [dim('nothing was retried: add --yes to retry them')])
  }
  const counts = { retried: 0, existing: 0, refused: 0, callersAnswered: 0 }
  const programs = new Set<string>()
  const next = own.values()
  const work = async () => {
    for (const { task } of next) {
      const result = await retryOne(bus, task).catch(error => toTidingsError(error, 'E_INTERNAL'))
      if (result instanceof TidingsError) {
        // The log is unavailable: the next run retries the rest.
        if (result.retryable && result.code !== 'E_RETRY_REFUSED') throw result
        counts.refused++
        await printResult(options, { state: 'refused', task, error: result.toJSON() }, [
          `${styleText('red', '✖')} ${task} ${printable(result.message)}`,
        ])
        continue
      }
      counts[result.state === 'retried' ? 'retried' : 'existing']++
      if (result.state === 'retried') {
        counts.callersAnswered += result.callersAnswered
        programs.add(result.program)
      }
      if (json) await print(JSON.stringify(result))
    }
  }
  await Promise.all(Array.from({ length: maxConcurrentRetries }, work))
  const totals = [
    `${countText(counts.retried, 'task')} retried`,
    ...(counts.existing > 0 ? [`${counts.existing} retried before`] : []),
    ...(counts.refused > 0 ? [`${counts.refused} refused`] : []),
  ]
  const lines = [totals.join(', '), ...callerLines(counts.callersAnswered)]
  await printResult(options, { found: own.length, withCallers, ...counts }, lines)
  if (!json) for (const program of programs) await printIfNoWorker(bus, program)
  if (counts.refused > 0) process.exitCode = 1
}

async function codeSuggestion(bus: Bus, filter: FailureFilter, code = ''): Promise<string> {
  return (code && didYouMean(code, new Set((await findFailed(bus, filter)).map(failed => failed.code)))) || '.'
}

/** A task whose caller failed too continues with its caller. */
function withoutChildren(found: readonly FailedTask[]): { own: FailedTask[]; withCallers: number } {
  const all = new Set(found.map(({ task }) => task))
  const own = found.filter(({ call }) => call === undefined || !all.has(parseId(call)?.task ?? ''))
  return { own, withCallers: found.length - own.length }
}

function countLines(found: readonly FailedTask[], withCallers: number): string[] {
  const kinds = Map.groupBy(found, ({ program, code }) => `${printable(program)}  ${printable(code)}`)
  return [
    styleText('bold', `${countText(found.length, 'failed task')}`),
    ...[...kinds].map(([kind, { length }]) => `  ${String(length).padStart(6)}  ${kind}`),
    ...(withCallers > 0
      ? [dim(`  and ${withCallers} called by these, which continue with their callers or stay on the list`)]
      : []),
  ]
}

function describeResult(retried: RetryResult): string[] {
  if (retried.state === 'resumed')
    return [
      `resumed ${retried.task}: ${countText(retried.redelivered, 'delivery', 'deliveries')} redelivered`,
      dim('  the task has not ended; its deliveries were parked'),
    ]
  const { task, retryOf } = retried
  if (retried.state === 'existing')
    return [
      `${retryOf} was retried before`,
      dim(`  as           ${task}, which is ${retried.end}`),
      ...(['failed', 'cancelled'].includes(retried.end) ? [dim(`  retry that   tidings retry ${task}`)] : []),
    ]
  const { asked, adopted, children, callersAnswered, program, correlation } = retried
  return [
    `retried ${printable(program)}`,
    dim(`  of           ${retryOf}`),
    dim(`  as           ${task}`),
    dim(`  repeated     ${asked.join(', ') || 'nothing: the current code decides its last turn again'}`),
    ...(adopted.length > 0
      ? [dim(`  adopted      ${countText(adopted.length, 'answer')} that arrived after the failure`)]
      : []),
    ...(children.length > 0 ? [dim(`  children     ${children.join(', ')}`)] : []),
    ...callerLines(callersAnswered),
    dim(`  to see what follows: tidings trace ${correlation}`),
  ]
}

function callerLines(callers: number): string[] {
  if (callers === 0) return []
  const answered = callers === 1 ? '1 caller has its answer and does' : `${callers} callers have their answers and do`
  return [dim(`  ${answered} not get another one`)]
}

async function printIfNoWorker(bus: Bus, program: string): Promise<void> {
  if (await hasWorker(bus, 'agent', program)) return
  const host = (await hostsOn(bus))[program]
  await print(dim(`  no worker of ${printable(host ?? program)} is running: the task starts when one does`))
}
