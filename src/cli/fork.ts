import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import type { CloudEvent } from '../event.ts'
import { provisionApp } from '../runtime/start.ts'
import { planFork, publishFork, type ForkFrom } from '../replay/fork.ts'
import { resolveId } from '../trace/index/resolve-id.ts'
import { isNamedBy } from '../trace/short-id.ts'
import { dim, tidings } from '../trace/paint.ts'
import { countText } from '../trace/text.ts'
import { effectLines, readJsonFile, withEffects, type EffectOptions } from './effects.ts'
import { resolveTask } from './log.ts'
import { describeRequest } from '../runtime/operations/retry-task.ts'
import { printResult, usageError, type GlobalOptions } from './output.ts'

export interface ForkOptions extends GlobalOptions, EffectOptions {
  /** TASK@TURN. */
  from: string
  /** JSON file: other data for inputs of the turn, by their ids. */
  edit?: string
  reissue?: boolean
}

/** `tidings fork --from TASK@TURN`: a new task with the turns before that one, which decides again from there. */
export async function forkCommand(options: ForkOptions): Promise<void> {
  const from = parseForkPoint(options.from)
  const edits = options.edit === undefined ? {} : readEdits(options.edit)
  await withEffects(options, async (bus, app, ruled) => {
    const origin = { ...from, task: await resolveTask(bus, from.task), reissue: options.reissue ?? false }
    const plan = await planFork(bus, { ...origin, edits: await withFullIds(bus, origin, edits) })
    const { program, adopted, fork } = plan
    if (!app.programs.some(({ name }) => name === program))
      throw new TidingsError('E_NOT_FOUND', `the app "${app.name}" has no agent "${program}", which ran this task`, {
        next: 'Give the file of the app that has this agent: --app FILE.',
      })
    await provisionApp(app, bus)
    const { task, correlation, replay: mark } = await publishFork(bus, plan, 'fork', ruled)
    const { effects } = ruled
    const record = { task, correlation, mark, program, adopted: ids(adopted), reissued: ids(fork.reissue), effects }
    await printResult(options, record, [
      `forked ${program} before its turn ${from.version}`,
      dim(`  task         ${task}`),
      dim(`  correlation  ${correlation}`),
      dim(`  adopted      ${countText(adopted.length, 'answer')} that arrived later`),
      dim(`  repeated     ${fork.reissue.map(describeRequest).join(', ') || 'nothing'}`),
      dim(`  to see what follows: ${tidings} trace ${correlation}`),
      ...effectLines(ruled),
    ])
  })
}

const ids = (events: readonly CloudEvent[]) => events.map(({ id }) => id)

function parseForkPoint(text: string): { task: string; version: number } {
  const [, task, version] = /^([^@:]+)@(\d{1,7})$/.exec(text) ?? []
  if (task === undefined)
    throw usageError(`"${text}" is not TASK@TURN: expected the id of a task or the end of it, and a turn from 1`)
  return { task, version: Number(version) }
}

function readEdits(file: string): Record<string, unknown> {
  const edits = readJsonFile(file)
  if (typeof edits !== 'object' || edits === null || Array.isArray(edits))
    throw usageError(`"${file}" must contain { "EVENT-ID": DATA }`)
  return edits as Record<string, unknown>
}

/** Edits may name inputs by the end of their ids. @throws E_AMBIGUOUS */
async function withFullIds(bus: Bus, from: ForkFrom, edits: Record<string, unknown>): Promise<Record<string, unknown>> {
  if (Object.keys(edits).length === 0) return edits
  const { inputs } = (await planFork(bus, from)).fork
  const whole = (text: string) => {
    const found = inputs.filter(({ id }) => isNamedBy(id, text))
    const isKnown = found.length === 0 || found.some(({ id }) => id === text)
    return isKnown ? text : resolveId(text, 'input', () => found, () => []).id // biome-ignore format: one line
  }
  return Object.fromEntries(Object.entries(edits).map(([text, data]) => [whole(text), data]))
}
