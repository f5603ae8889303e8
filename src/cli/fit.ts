import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { TidingsError, type ErrorDetails } from '../errors.ts'
import { reasonOf } from '../bus/reason.ts'
import type { App } from '../runtime/app.ts'
import { hostsOn } from '../tasks/hosts.ts'
import { Programs } from '../tasks/programs.ts'
import { resume } from '../tasks/task.ts'
import { count, dim, printable } from '../trace/text.ts'
import { askOnDisk } from './log.ts'
import { answer, say, type Globals } from './out.ts'

/* Tasks that wait, and that the code which was just started cannot go on with: said now, and not when their answers come. */

interface Unfit {
  readonly task: string
  readonly program: string
  readonly code: string
  readonly message: string
  readonly data?: ErrorDetails
}

const misfits = new Set<string>(['E_PROGRAM_MISMATCH', 'E_PROGRAM_VERSION'])
const maxLooked = 1_000
const maxShown = 5

/** Says which waiting tasks the code of an app does not fit, and what can be done about each. */
export async function sayUnfit(bus: Bus, app: App, options: Globals, signal: AbortSignal): Promise<void> {
  const found = await unfitOn(bus, app, signal)
  if (options.json) {
    for (const unfit of found) await answer(options, { event: 'unfit', ...unfit, next: choicesFor(unfit) }, [])
    return
  }
  const byProgram = Map.groupBy(found, ({ program }) => program)
  for (const [program, tasks] of byProgram) {
    const verb = tasks.length === 1 ? 'does' : 'do'
    await say(
      `${styleText('red', '✖')} ${styleText('bold', program)}: ${count(tasks.length, 'waiting task')} ${verb} not fit this code`,
    )
    for (const unfit of tasks.slice(0, maxShown)) {
      await say(`  task ${unfit.task} ${dim(unfit.code)}\n    ${printable(unfit.message)}`)
      for (const choice of choicesFor(unfit)) await say(`    ${styleText('cyan', '→')} ${choice}`)
    }
    if (tasks.length > maxShown)
      await say(dim(`  and ${tasks.length - maxShown} more: tidings replay --waiting lists all`))
  }
}

async function unfitOn(bus: Bus, app: App, signal: AbortSignal): Promise<Unfit[]> {
  const programs = new Programs(app.programs)
  const hosts = await hostsOn(bus)
  const waiting = await askOnDisk(bus, index => index.tasks({ state: 'waiting', limit: maxLooked }))
  const found: Unfit[] = []
  for (const { task, program } of waiting) {
    if (signal.aborted) break
    // Also of an agent that the app has no longer.
    if (!programs.has(program) && hosts[program] !== app.name) continue
    try {
      await resume(bus, programs, task)
    } catch (error) {
      if (error instanceof TidingsError && misfits.has(error.code)) found.push({ task, program, ...reasonOf(error) })
    }
  }
  return found
}

function choicesFor({ task, code, data }: Unfit): string[] {
  if (code === 'E_PROGRAM_VERSION') return ['run the newer version, which wrote it', `tidings attention cancel ${task}`]
  return [
    'run the version that wrote it, until it has ended',
    ...(data?.fork === undefined ? [] : [`tidings fork --from ${data.fork} continues with this code, as a new task`]),
    `tidings attention cancel ${task}`,
  ]
}
