import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent, on, tool, workflow, type Workflow } from '../../src/index.ts'
import { parseId } from '../../src/bus/ids.ts'
import { until } from '../../src/testing/wait.ts'
import { Story } from '../lib/workflows.ts'
import { onAnyBus } from '../lib/world.ts'

const version = (n: number, build: (flow: Workflow<any, never, unknown>) => Workflow<any, never, unknown>) =>
  build(workflow('order', { on: 'order.placed', within: '1h', version: n }) as never)
const one = version(1, b => b.when('paid', on('paid').as('paid'), { within: '1h' }).complete(() => 'one'))
const two = version(2, b => b.when('paid', on('paid').as('paid'), { within: '1h' }).complete(() => 'two'))
const other = version(2, b => b.when('sent', on('sent').as('sent'), { within: '1h' }).complete(() => 'other'))

/** The definition by which each turn was decided. */
async function decidedBy(story: Story): Promise<string[]> {
  const turns = (await story.events()).filter(({ type }) => type === 'task.turn')
  const whole = await Promise.all(turns.map(turn => story.running.bus.resolve(turn)))
  return whole.map(({ data }) => (data as { programHash: string }).programHash)
}

async function taskOf(story: Story): Promise<string> {
  const turn = (await story.events()).find(({ type }) => type === 'task.turn')
  return parseId(turn!.id)!.task
}

onAnyBus(world => {
  it('an instance continues with its own version beside instances of the new one, also after a second worker', async () => {
    const log = await world()
    const old = new Story(await log.worker({ use: [one] }), 'order')
    await old.tell('order.placed')
    await log.stop()
    const running = await log.worker({ use: [two] })
    const [before, after] = [new Story(running, 'order', old.correlation), new Story(running, 'order')]
    await after.tell('order.placed')
    await log.stop()
    const third = await log.worker({ use: [two, one] })
    for (const [story, said] of [
      [before, 'one'],
      [after, 'two'],
    ] as const) {
      const now = new Story(third, 'order', story.correlation)
      await now.tell('paid')
      expect(await now.end()).toBe(said)
    }
    expect(new Set(await decidedBy(new Story(third, 'order', before.correlation)))).toEqual(
      new Set([one.definition.hash]),
    )
    expect(new Set(await decidedBy(new Story(third, 'order', after.correlation)))).toEqual(
      new Set([two.definition.hash]),
    )
  })

  it('migrate moves it, another worker continues, and an impossible move is refused without effect', async () => {
    const log = await world()
    const first = new Story(await log.worker({ use: [one] }), 'order')
    await first.tell('order.placed')
    await log.stop()
    const running = await log.worker({ use: [two] })
    const now = new Story(running, 'order', first.correlation)
    const migrate = async (definition: unknown) => {
      const migration = { type: 'workflow.migrate', target: 'order', subject: await taskOf(now), correlationid: now.correlation } // biome-ignore format: one line
      await now.heard((await running.bus.publish({ ...migration, data: { definition } })).id)
    }
    await migrate(other.data)
    await migrate({ steps: 1 })
    const refused = (await now.asked('workflow.migration.refused', 2)).map(({ data }) => (data as { why: string }).why)
    expect(refused[0]).toBe('version 2 does not have its current step "paid"')
    await migrate(two.data)
    await log.stop()
    const last = new Story(await log.worker({ use: [two] }), 'order', first.correlation)
    await last.tell('paid')
    expect(await last.end()).toBe('two')
    expect((await decidedBy(last)).at(-1)).toBe(two.definition.hash)
  })

  it('called and started workflows are instances of their own: only the called one is awaited', async () => {
    const double = tool('double', { description: '', input: z.object({ n: z.number() }), run: ({ n }) => 2 * n })
    const inner = workflow('inner', { input: z.object({ n: z.number() }), within: '1h' })
      .call('twice', double, s => ({ n: s.event.n }))
      .complete(s => s.twice)
    const notes: number[] = []
    const note = agent<{ n: number }, void>('note', { run: async (_, { n }) => void notes.push(n) })
    const outer = workflow('outer', { on: 'outer.asked', within: '1h' })
      .start(note, s => ({ n: s.event.n }))
      .call('first', inner, s => ({ n: s.event.n }))
      .each('more', () => [{ n: 1 }, { n: 2 }], inner)
      .complete(s => [s.first, s.more])
    const story = new Story(await (await world()).worker({ use: [outer, inner, double, note] }), 'outer')
    await story.tell('outer.asked', { n: 5 })
    expect(await story.end()).toEqual([10, [2, 4]])
    await until(() => notes.length > 0)
    expect(notes).toEqual([5])
  })

  it('a call that is cancelled from outside is a failure of its step', async () => {
    const inner = workflow('inner', { input: z.any(), within: '1h' }).wait('1h')
    const outer = workflow('outer', { on: 'outer.asked', within: '1h' }).call('answer', inner, () => 1, { otherwise: b => b.complete(s => s.error.code) }) // biome-ignore format: one line
    const story = new Story(await (await world()).worker({ use: [outer, inner] }), 'outer')
    const { bus } = story.running
    await story.tell('outer.asked')
    const timer = await until(async () => (await story.events()).find(({ type, source }) => type === 'timer.set' && source === '/workflows/inner')) // biome-ignore format: one line
    await bus.publish({ type: 'agent.cancel', target: 'inner', subject: parseId(timer.id)!.task, correlationid: story.correlation, data: { reason: 'no' } }) // biome-ignore format: one line
    expect(await story.end()).toBe('E_TASK_CANCELLED')
  })
})
