import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { readNewestTurn, shownStateIn } from '../tasks/task-state.ts'
import { timerTarget } from '../tasks/waits.ts'
import { taskStates, type TaskRow, type TaskState } from '../trace/index/rows.ts'
import { shortId } from '../trace/short-id.ts'
import { dim } from '../trace/paint.ts'
import { countText, padOrShorten, printable, shorten } from '../trace/text.ts'
import { awaitedTypes } from '../workflows/awaited.ts'
import { formatTime, terminalWidth } from './event-line.ts'
import { queryIndex, withExistingLog } from './log.ts'
import { printAll, usageError, type GlobalOptions } from './output.ts'
import { parseTime } from './selection.ts'

export interface TasksOptions extends GlobalOptions {
  program?: string
  state?: string
  since?: string
  limit: number
}

export async function tasksCommand(options: TasksOptions): Promise<void> {
  const { program, state, since, limit } = options
  if (state !== undefined && !isState(state))
    throw usageError(`"${state}" is not a state of a task: expected ${taskStates.join(', ')}`)
  const filter = {
    limit,
    ...(program !== undefined && { program }),
    ...(state !== undefined && { state }),
    ...(since !== undefined && { since: parseTime(since) }),
  }
  const found = await withExistingLog(async bus => {
    const rows = await queryIndex(bus, index => index.tasks(filter))
    return Promise.all(rows.map(row => withShown(bus, row)))
  })
  await printAll(options, found, line, 'No task matches.')
}

/** `shows`: what a running task shows of itself. `awaits`: the types of the events that a workflow instance waits for. */
interface ShownTask extends TaskRow {
  readonly shows?: unknown
  readonly awaits?: readonly string[]
}

async function withShown(bus: Bus, row: TaskRow): Promise<ShownTask> {
  if (row.state !== 'running' && row.state !== 'waiting') return row
  const turn = await readNewestTurn(bus, row.task)
  if (!turn) return row
  const [shows, awaits] = [shownStateIn(turn), await awaitedTypes(bus, turn.data)]
  return { ...row, ...(shows !== undefined && { shows }), ...(awaits.length > 0 && { awaits }) }
}

const isState = (state: string): state is TaskState => (taskStates as readonly string[]).includes(state)

const colours = {
  running: 'cyan', waiting: 'yellow', completed: 'green', failed: 'red', cancelled: 'yellow', continued: 'green',
} as const // biome-ignore format: one table

function line({ task, program, version, hash, state, turns, since, waitsFor, awaits, shows }: ShownTask): string {
  const name = padOrShorten(printable(`${program} v${version}`), 20)
  const code = printable(hash).slice(0, 8).padEnd(8)
  // The timer of an instance that waits for events only bounds the wait.
  const waited = awaits ? [...awaits, ...waitsFor.filter(target => target !== timerTarget)] : waitsFor
  const waits = waited.length === 0 ? '' : `  waits for ${waited.join(', ')}`
  const shown = shows === undefined ? '' : `  ${JSON.stringify(shows)}`
  const progress = shorten(printable(`${countText(turns, 'turn')}${waits}${shown}`), terminalWidth() - 75)
  return `${styleText(colours[state], padOrShorten(state, 9))} ${name} ${dim(code)} ${dim(formatTime(since))} ${dim(task.slice(30, 36))} ${shortId(task, program)} ${progress}`.trimEnd()
}
