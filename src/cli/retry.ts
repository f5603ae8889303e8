import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { TidingsError, toTidingsError } from '../errors.ts'
import { environment } from '../runtime/environment.ts'
import { forEachOf } from '../runtime/operations/for-each.ts'
import {
  failedSince,
  findFailed,
  withoutCalled,
  type FailedFilter,
  type FailedTask,
} from '../trace/attention/failed-tasks.ts'
import { retryTask, type RetryResult } from '../runtime/operations/retry-task.ts'
import { hostsOn } from '../tasks/hosts.ts'
import { didYouMean } from '../suggest.ts'
import { dim, tidings } from '../trace/paint.ts'
import { countText, printable } from '../trace/text.ts'
import { hasWorker } from '../tasks/hosts.ts'
import { assertEverHosted } from '../runtime/operations/hosted.ts'
import { queryIndexOf, resolveTask, withExistingLog } from './log.ts'
import { printResult, print, usageError, type GlobalOptions } from './output.ts'
import { parseTime } from './selection.ts'

export interface RetryCommandOptions extends GlobalOptions {
  agent?: string
  code?: string
  since?: string
  until?: string
  yes?: boolean
}

/** `tidings retry TASK`, `tidings retry --agent NAME --code CODE --since 1h` */
export async function retryCommand(which: string | undefined, options: RetryCommandOptions): Promise<void> {
  const { agent, code, since, until } = options
  const filters = [agent, code, since, until].filter(each => each !== undefined)
  if ((which === undefined) === (filters.length === 0))
    throw usageError(
      `expected either a task (${tidings} retry TASK) or a filter: --agent NAME, --code CODE, --since 1h, --until TIME`,
    )
  await withExistingLog(async bus => {
    if (which === undefined) return retryMany(bus, options)
    const retried = await retryTask(bus, await resolveTask(bus, which), '/cli')
    await printResult(options, retried, describeResult(retried))
    if (retried.state === 'retried' && !options.json) await printIfNoWorker(bus, retried.program)
  })
}

async function retryMany(bus: Bus, options: RetryCommandOptions): Promise<void> {
  const { agent, code, since, until, yes, json } = options
  const filter = {
    since: since === undefined ? failedSince(environment().failedFor) : parseTime(since),
    ...(until !== undefined && { until: parseTime(until) }),
    ...(agent !== undefined && { program: agent }),
  }
  const found = await findFailed(bus, queryIndexOf(bus), { ...filter, code })
  if (found.length === 0 && agent !== undefined) await assertEverHosted(bus, 'agent', agent)
  const { own, withCallers } = withoutCalled(found)
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
  await forEachOf(own, async ({ task }) => {
    const result = await retryTask(bus, task, '/cli').catch(error => toTidingsError(error, 'E_INTERNAL'))
    if (result instanceof TidingsError) {
      // The log is unavailable: the next run retries the rest.
      if (result.retryable && result.code !== 'E_RETRY_REFUSED') throw result
      counts.refused++
      return printResult(options, { state: 'refused', task, error: result.toJSON() }, [
        `${styleText('red', '✖')} ${task} ${printable(result.message)}`,
      ])
    }
    counts[result.state === 'retried' ? 'retried' : 'existing']++
    if (result.state === 'retried') {
      counts.callersAnswered += result.callersAnswered
      programs.add(result.program)
    }
    if (json) await print(JSON.stringify(result))
  })
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

async function codeSuggestion(bus: Bus, filter: FailedFilter, code = ''): Promise<string> {
  const codes = async () => new Set((await findFailed(bus, queryIndexOf(bus), filter)).map(failed => failed.code))
  return (code && didYouMean(code, await codes())) || '.'
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
      ...(['failed', 'cancelled'].includes(retried.end) ? [dim(`  retry that   ${tidings} retry ${task}`)] : []),
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
    dim(`  to see what follows: ${tidings} trace ${correlation}`),
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
