import { expect, it } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import { parseEffects, resolveEffects } from '../../src/replay/effects.ts'
import { planFork, publishFork } from '../../src/replay/fork.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import { sourceFromBus } from '../../src/replay/source.ts'
import { Programs } from '../../src/tasks/programs.ts'
import type { CallError } from '../../src/tasks/script.ts'
import { until } from '../../src/testing/wait.ts'
import { ended, eventsOf, onEveryBus } from '../lib/world.ts'

const output = ({ data }: { data: unknown }) => (data as { output: unknown }).output

/** Two steps, of which the first worker never finishes the second. */
function clerk() {
  const runs: string[] = []
  const codes: string[] = []
  const definition = agent('clerk', {
    on: 'go',
    async run(ctx, atMostOnce: boolean) {
      let counted = 0
      const first = await ctx.step('first', () => {
        counted++
        runs.push('first')
        return 'done'
      })
      const second = await ctx
        .step(
          'second',
          async ({ signal }) => {
            runs.push('second')
            if (runs.length > 2) return 'done'
            await new Promise(resolve => signal.addEventListener('abort', resolve))
            codes.push((signal.reason as CallError).code)
            throw signal.reason
          },
          { atMostOnce },
        )
        .catch((error: CallError) => error.code)
      return { first, second, counted }
    },
  })
  return { definition, runs, codes }
}

onEveryBus(world => {
  /** The first worker stops in the middle of the second step; a second one continues. */
  async function takenOver(atMostOnce: boolean) {
    const log = await world()
    const { definition, runs, codes } = clerk()
    const worker = await log.worker({ use: [definition] }, { stopWithin: '50ms' })
    const { id, correlationid } = await worker.bus.publish({ type: 'go', data: atMostOnce })
    await until(() => runs.includes('second'))
    await worker.stop()
    const next = await log.worker({ use: [definition] })
    return { end: await ended(next, correlationid, id), runs, codes, next, definition, correlationid }
  }

  it('the next owner of the task runs an open step again, and no step that was answered', async () => {
    const { end, runs, codes } = await takenOver(false)
    expect(runs).toEqual(['first', 'second', 'second'])
    expect(codes).toEqual(['E_WORKER_STOPPED'])
    // The variable that the first step changed is not restored, because the step does not run again.
    expect(output(end)).toEqual({ first: 'done', second: 'done', counted: 0 })
  })

  it('the next owner does not start an atMostOnce step again', async () => {
    const { end, runs } = await takenOver(true)
    expect(runs).toEqual(['first', 'second'])
    expect(output(end)).toMatchObject({ second: 'E_TOOL_OUTCOME_UNKNOWN' })
  })

  it('a replay uses the recorded results and runs no step', async () => {
    const { next, definition, runs, correlationid } = await takenOver(false)
    const ran = runs.length
    const replay = new Replayer(new Programs([definition.definition]))
    for await (const { position, event } of sourceFromBus(next.bus, { correlation: correlationid }).events())
      await replay.add(position, event)
    expect(replay.finish()).toMatchObject({ tasks: 1, turns: 3, divergences: [] })
    expect(runs).toHaveLength(ran)
  })

  it('a fork follows its effects: recorded results, a denial, or the step itself', async () => {
    const { next, end, runs } = await takenOver(false)
    const task = end.id.split(':')[0]!
    const forked = async (effects: string) => {
      const plan = await planFork(next.bus, { task, version: 1 })
      const ruled = resolveEffects([], { effects: parseEffects(effects), stubs: new Map() })
      const copy = await publishFork(next.bus, plan, 'fork', ruled)
      const ends = () => eventsOf(next, copy.correlation)
      return until(async () => (await ends()).find(({ type }) => /^agent\.task\.(completed|failed)$/.test(type)))
    }
    const ran = runs.length
    expect(output(await forked('step/clerk=recorded'))).toEqual({ first: 'done', second: 'done', counted: 0 })
    expect((await forked('tool/*=recorded')).data).toMatchObject({ error: { code: 'E_REPLAY_DENIED' } })
    expect(runs).toHaveLength(ran)
    expect(output(await forked('step/clerk=live'))).toEqual({ first: 'done', second: 'done', counted: 1 })
    expect(runs.slice(ran)).toEqual(['first', 'second'])
  })
})
