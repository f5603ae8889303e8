import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { planFork, publishFork } from '../replay/fork.ts'
import { count, dim } from '../trace/text.ts'
import { awaitWorkers, effectLines, readJson, withEffects, type EffectOptions } from './effects.ts'
import { findTask } from './log.ts'
import { answer, type Globals } from './out.ts'

export interface ForkOptions extends Globals, EffectOptions {
  /** TASK@TURN. */
  from: string
  /** JSON file: other data for inputs of the turn, by their ids. */
  edit?: string
  reissue?: boolean
}

/** `tidings fork --from TASK@TURN`: a new task with the turns before that one, which decides anew from there. */
export async function fork(options: ForkOptions): Promise<void> {
  const from = fromText(options.from)
  const edits = options.edit === undefined ? {} : editsIn(options.edit)
  await withEffects(options, async (bus, app, ruled) => {
    const task = await findTask(bus, from.task)
    const plan = await planFork(bus, { task, version: from.version, edits, reissue: options.reissue ?? false })
    const { program, adopted, fork } = plan
    if (!app.programs.some(({ name }) => name === program))
      throw new TidingsError('E_NOT_FOUND', `the app ${app.name} has no agent ${program}, whose task this is`)
    await awaitWorkers(bus, app)
    const forked = await publishFork(bus, plan, 'fork', ruled)
    const record = {
      ...forked,
      program,
      adopted: ids(adopted),
      reissued: ids(fork.reissue),
      effects: ruled.effects,
    }
    await answer(options, record, [
      `forked ${program} before its turn ${from.version}`,
      dim(`  task         ${forked.task}`),
      dim(`  correlation  ${forked.correlation}`),
      dim(`  adopted      ${count(adopted.length, 'answer')} that came later`),
      dim(
        `  asked again  ${fork.reissue.map(({ type, target }) => `${type} ${target ?? ''}`.trim()).join(', ') || 'nothing'}`,
      ),
      dim(`  what came of it: tidings trace ${forked.correlation}`),
      'what its tools and models may do:',
      ...effectLines(ruled),
    ])
  })
}

const ids = (events: readonly CloudEvent[]) => events.map(({ id }) => id)

function fromText(text: string): { task: string; version: number } {
  const [, task, version] = /^([^@:]+)@(\d{1,7})$/.exec(text) ?? []
  if (task === undefined)
    throw new TidingsError(
      'E_USAGE',
      `"${text}" is not TASK@TURN: a task, by its id or the end of it, and a turn from 1`,
    )
  return { task, version: Number(version) }
}

function editsIn(file: string): Record<string, unknown> {
  const edits = readJson(file)
  if (typeof edits !== 'object' || edits === null || Array.isArray(edits))
    throw new TidingsError('E_USAGE', `${file} must hold { "EVENT-ID": DATA }`)
  return edits as Record<string, unknown>
}
