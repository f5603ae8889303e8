import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import { correlationOf } from '../bus/ids.ts'
import type { Ruled } from '../replay/effects.ts'
import { planFork, publishFork } from '../replay/fork.ts'
import { inputsOf, redrive as redriveInputs } from '../replay/redrive.ts'
import type { Selection } from '../replay/selection.ts'
import { count, dim } from '../trace/text.ts'
import { awaitWorkers, effectLines, withEffects, type EffectOptions } from './effects.ts'
import { answer, say, type Globals } from './out.ts'
import { selectionOf, type SelectionOptions } from './selection.ts'

export interface RedriveOptions extends Globals, SelectionOptions, EffectOptions {
  type?: string[]
  dryRun?: boolean
}

interface Redriven {
  /** The correlation that is done again. */
  of: string
  /** Its outside events. */
  events: readonly { id: string; type: string }[]
  publish(): Promise<{ correlation: string; mark: string }>
}

/** `tidings redrive`: what came from outside comes again, as something new. */
export async function redrive(options: RedriveOptions): Promise<void> {
  const { task, correlation, since, until, type, dryRun, json } = options
  if ((task ?? correlation ?? since ?? until) === undefined)
    throw new TidingsError('E_USAGE', 'say what: --correlation ID, --task ID or --since 24h')
  if (task !== undefined && type)
    throw new TidingsError('E_USAGE', 'a task has one start: --type does not go with --task')
  await withEffects(options, async (bus, app, ruled) => {
    const all = await redriven(bus, await selectionOf(bus, options), type, ruled)
    if (all.length === 0) throw new TidingsError('E_NOT_FOUND', 'nothing came from outside there')
    if (!dryRun) await awaitWorkers(bus, app)
    for (const { of, events, publish } of all) {
      const found = { of, events: events.map(({ id, type }) => ({ id, type })), effects: ruled.effects }
      const what = `${count(events.length, 'event')}: ${[...new Set(events.map(event => event.type))].join(', ')}`
      if (dryRun) {
        await answer(options, found, [`would redrive ${of}`, dim(`  ${what}`)])
        continue
      }
      const { correlation, mark } = await publish()
      await answer(options, { ...found, correlation, mark }, [
        `redrove ${of}`,
        dim(`  ${what}`),
        dim(`  as       ${correlation}`),
        dim(`  compare  tidings trace ${of}`),
        dim(`  with     tidings trace ${correlation}`),
      ])
    }
    if (!json) for (const line of ['what its tools and models may do:', ...effectLines(ruled)]) await say(line)
  })
}

async function redriven(
  bus: Bus,
  selection: Selection,
  types: string[] | undefined,
  ruled: Ruled,
): Promise<Redriven[]> {
  if ('task' in selection) {
    const { task } = selection
    const plan = await planFork(bus, { task, version: 1 })
    const publish = () => publishFork(bus, plan, 'redrive', ruled)
    return [{ of: correlationOf(task), events: plan.fork.inputs, publish }]
  }
  const found = await inputsOf(bus, selection, types)
  return found.map(inputs => ({
    of: inputs.correlation,
    events: inputs.events,
    publish: () => redriveInputs(bus, inputs, ruled),
  }))
}
