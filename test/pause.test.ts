import { z } from 'zod'
import { expect, test } from 'vitest'
import { agent, tool } from '../src/index.ts'
import { tidings } from './lib/cli.ts'
import { onEveryBus } from './lib/world.ts'

const twice = tool('text.twice', { description: 'Twice', input: z.string(), run: text => text + text })
const doubler = agent('doubler', { on: 'text.given', run: async (ctx, text: string) => ctx.call(twice, text) })

onEveryBus(world => {
  test('pausing a name that was never hosted fails and suggests a similar name', async () => {
    const log = await world()
    const worker = await log.worker({ use: [doubler, twice] })
    const refused = async (...args: string[]) => {
      const { code, stderr } = await tidings(log.place, [...args, '--json'])
      expect(code).toBe(1)
      return (JSON.parse(stderr) as { error: { code: string; message: string } }).error
    }
    const unknown = { code: 'E_NOT_FOUND' }
    expect(await refused('pause', 'tool', 'text.twise')).toMatchObject({
      ...unknown,
      message: expect.stringContaining('the tool "text.twise"; did you mean "text.twice"?'),
    })
    expect((await refused('pause', 'agent', 'text.twice')).message).toContain('there is a tool with this name')
    expect((await refused('pause', 'agent', 'somebody')).message).toContain('known names: doubler')
    expect(await refused('resume', 'tool', 'text.twise')).toMatchObject(unknown)
    expect(worker.pauses.list).toEqual([])

    expect((await tidings(log.place, ['pause', 'agent', 'doubler'])).code).toBe(0)
    // Also of a name that is gone.
    await worker.pauses.set('tool', 'text.gone', true)
    expect((await tidings(log.place, ['resume', 'tool', 'text.gone'])).stdout).toContain('is now running')
  })
})
