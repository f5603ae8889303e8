import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { reasonOf, type Reason } from '../bus/reason.ts'
import type { App } from '../runtime/app.ts'
import { hostsOn } from '../tasks/hosts.ts'
import { TaskLoader } from '../tasks/load.ts'
import { Programs } from '../tasks/programs.ts'
import { dim, tidings } from '../trace/paint.ts'
import { countText, printable } from '../trace/text.ts'
import { queryIndexFile } from './log.ts'
import { arrow, printResult, print, type GlobalOptions } from './output.ts'

/* Waiting tasks that the started code cannot continue are reported at the start, not when their answers arrive. */

interface IncompatibleTask extends Reason {
  readonly task: string
  readonly program: string
}

const incompatibleCodes = new Set<string>(['E_PROGRAM_MISMATCH', 'E_PROGRAM_VERSION'])
const maxChecked = 1_000
const maxShown = 5

/** Prints the waiting tasks that the code does not match, with the next steps for each. */
export async function printIncompatible(
  bus: Bus,
  app: App,
  options: GlobalOptions,
  signal: AbortSignal,
): Promise<void> {
  const found = await findIncompatible(bus, app, signal)
  if (options.json) {
    for (const task of found) await printResult(options, { event: 'incompatible', ...task, next: nextSteps(task) }, [])
    return
  }
  const byProgram = Map.groupBy(found, ({ program }) => program)
  for (const [program, tasks] of byProgram) {
    const verb = tasks.length === 1 ? 'does' : 'do'
    await print(
      `${styleText('red', '✖')} ${styleText('bold', program)}: ${countText(tasks.length, 'waiting task')} ${verb} not match this code`,
    )
    for (const task of tasks.slice(0, maxShown)) {
      await print(`  task ${task.task} ${dim(task.code)}\n    ${printable(task.message)}`)
      for (const choice of nextSteps(task)) await print(`    ${arrow()} ${choice}`)
    }
    if (tasks.length > maxShown)
      await print(dim(`  and ${tasks.length - maxShown} more: ${tidings} replay --waiting lists all`))
  }
}

async function findIncompatible(bus: Bus, app: App, signal: AbortSignal): Promise<IncompatibleTask[]> {
  const programs = new Programs(app.programs)
  const loader = new TaskLoader(bus, programs)
  const hosts = await hostsOn(bus)
  const waiting = await queryIndexFile(bus, index => index.tasks({ state: 'waiting', limit: maxChecked }))
  const found: IncompatibleTask[] = []
  for (const { task, program } of waiting) {
    if (signal.aborted) break
    // Also tasks of agents that were removed from the app.
    if (!programs.has(program) && hosts[program] !== app.name) continue
    try {
      await loader.resume(task)
    } catch (error) {
      if (error instanceof TidingsError && incompatibleCodes.has(error.code))
        found.push({ task, program, ...reasonOf(error) })
    }
  }
  return found
}

function nextSteps({ task, code, data }: IncompatibleTask): string[] {
  if (code === 'E_PROGRAM_VERSION')
    return ['run the newer version, which wrote it', `${tidings} attention cancel ${task}`]
  return [
    'run the version that wrote it, until it has ended',
    ...(data?.fork === undefined
      ? []
      : [`${tidings} fork --from ${data.fork} continues with this code, as a new task`]),
    `${tidings} attention cancel ${task}`,
  ]
}
