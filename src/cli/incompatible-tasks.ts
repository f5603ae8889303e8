import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { TidingsError, type ErrorDetails } from '../errors.ts'
import { reasonOf } from '../bus/reason.ts'
import type { App } from '../runtime/app.ts'
import { hostsOn } from '../tasks/hosts.ts'
import { Programs } from '../tasks/programs.ts'
import { resumeTask } from '../tasks/task.ts'
import { count, dim, printable } from '../trace/text.ts'
import { queryIndexFile } from './log.ts'
import { printResult, print, type GlobalOptions } from './output.ts'

/* Tasks that wait, and that the code which was just started cannot go on with: said now, and not when their answers come. */

interface IncompatibleTask {
  readonly task: string
  readonly program: string
  readonly code: string
  readonly message: string
  readonly data?: ErrorDetails
}

const incompatibleCodes = new Set<string>(['E_PROGRAM_MISMATCH', 'E_PROGRAM_VERSION'])
const maxChecked = 1_000
const maxShown = 5

/** Says which waiting tasks the code of an app does not fit, and what can be done about each. */
export async function printIncompatible(
  bus: Bus,
  app: App,
  options: GlobalOptions,
  signal: AbortSignal,
): Promise<void> {
  const found = await findIncompatible(bus, app, signal)
  if (options.json) {
    for (const unfit of found) await printResult(options, { event: 'unfit', ...unfit, next: nextSteps(unfit) }, [])
    return
  }
  const byProgram = Map.groupBy(found, ({ program }) => program)
  for (const [program, tasks] of byProgram) {
    const verb = tasks.length === 1 ? 'does' : 'do'
    await print(
      `${styleText('red', '✖')} ${styleText('bold', program)}: ${count(tasks.length, 'waiting task')} ${verb} not fit this code`,
    )
    for (const unfit of tasks.slice(0, maxShown)) {
      await print(`  task ${unfit.task} ${dim(unfit.code)}\n    ${printable(unfit.message)}`)
      for (const choice of nextSteps(unfit)) await print(`    ${styleText('cyan', '→')} ${choice}`)
    }
    if (tasks.length > maxShown)
      await print(dim(`  and ${tasks.length - maxShown} more: tidings replay --waiting lists all`))
  }
}

async function findIncompatible(bus: Bus, app: App, signal: AbortSignal): Promise<IncompatibleTask[]> {
  const programs = new Programs(app.programs)
  const hosts = await hostsOn(bus)
  const waiting = await queryIndexFile(bus, index => index.tasks({ state: 'waiting', limit: maxChecked }))
  const found: IncompatibleTask[] = []
  for (const { task, program } of waiting) {
    if (signal.aborted) break
    // Also of an agent that the app has no longer.
    if (!programs.has(program) && hosts[program] !== app.name) continue
    try {
      await resumeTask(bus, programs, task)
    } catch (error) {
      if (error instanceof TidingsError && incompatibleCodes.has(error.code))
        found.push({ task, program, ...reasonOf(error) })
    }
  }
  return found
}

function nextSteps({ task, code, data }: IncompatibleTask): string[] {
  if (code === 'E_PROGRAM_VERSION') return ['run the newer version, which wrote it', `tidings attention cancel ${task}`]
  return [
    'run the version that wrote it, until it has ended',
    ...(data?.fork === undefined ? [] : [`tidings fork --from ${data.fork} continues with this code, as a new task`]),
    `tidings attention cancel ${task}`,
  ]
}
