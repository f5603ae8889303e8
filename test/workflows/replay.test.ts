import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { tool, workflow, on, type Workflow } from '../../src/index.ts'
import { Programs } from '../../src/tasks/programs.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import { until } from '../../src/testing/wait.ts'
import { tidings } from '../lib/cli.ts'
import { eventsOf, onAnyBus } from '../lib/world.ts'

const double = tool('double', { description: '', input: z.object({ n: z.number() }), run: ({ n }) => 2 * n })

/** Asks, asks again what came of it, waits for a word, and says the sum. */
const sum = (second: 'once' | 'half' = 'once') =>
  workflow('sum', { on: 'sum.asked', within: '1h' })
    .call('first', double, s => ({ n: s.event.n }))
    .call('second', double, s => ({ n: second === 'once' ? s.first : s.event.n }))
    .when('word', on('word.given').as('word'), { within: '1h' })
    .emit('sum.done', s => ({ second: s.second, word: s.word.text }))

const isDone = ({ type }: { type: string }) => type === 'agent.task.completed'

onAnyBus(world => {
  it('of a workflow agrees with itself, and finds every turn that a changed definition decides otherwise', async () => {
    const running = await (await world()).worker({ use: [sum(), double] })
    const { bus } = running
    const { correlationid } = await bus.publish({ type: 'sum.asked', data: { n: 1 } })
    await until(
      async () => (await eventsOf(running, correlationid)).filter(({ type }) => type === 'tool.result').length === 2,
    )
    await bus.publish({ type: 'word.given', data: { text: 'well' }, correlationid })
    await until(async () => (await eventsOf(running, correlationid)).some(isDone))
    const events = await eventsOf(running, correlationid)
    const replayed = async (flow: Workflow<never, never, unknown>) => {
      const replay = new Replayer(new Programs([flow.definition]))
      for (const [i, event] of events.entries()) await replay.add({ partition: 0, offset: i + 1 }, event)
      return replay.finish()
    }
    expect(await replayed(sum() as never)).toMatchObject({ tasks: 1, turns: 4, divergences: [], skipped: [] })
    const { divergences } = await replayed(sum('half') as never)
    expect(divergences.map(({ turn, kind }) => `${turn} ${kind}`)).toEqual(['2 changed'])
    expect(divergences[0]).toMatchObject({ changes: [{ path: ['data', 'input', 'n'], before: 2, after: 1 }] })
  })

  it('of waiting instances uses their own definition, so that a new one does not prevent a deploy', async () => {
    const log = await world()
    const running = await log.worker({ use: [sum(), double] })
    const { correlationid } = await running.bus.publish({ type: 'sum.asked', data: { n: 1 } })
    await until(
      async () => (await eventsOf(running, correlationid)).filter(({ type }) => type === 'task.turn').length === 3,
    )
    await log.stop()
    const app = join(log.place.home, 'app.ts')
    const index = JSON.stringify(join(import.meta.dirname, '../../src/index.ts'))
    await writeFile(
      app,
      `import { app, workflow } from ${index}
export default app({ name: 'test', use: [workflow('sum', { on: 'sum.asked', within: '1h' }).emit('sum.none', () => 0)] })`,
    )
    const waiting = await tidings(log.place, ['replay', '--waiting', '--app', app])
    expect(waiting).toMatchObject({ code: 0, stdout: expect.stringContaining('3 turns') })
    const all = await tidings(log.place, ['replay', '--correlation', correlationid, '--app', app])
    expect(all.code).toBe(1)
  })
})
