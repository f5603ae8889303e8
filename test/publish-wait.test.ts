import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { event } from '../src/event.ts'
import { by } from '../src/workflows/key.ts'
import { on } from '../src/workflows/patterns.ts'
import { workflow } from '../src/workflows/workflow.ts'
import { tidings } from './lib/cli.ts'
import { onAnyBus } from './lib/world.ts'

onAnyBus(world => {
  it('waits for what a keyed workflow does with an event, and says why a task failed', async () => {
    const created = await world()
    const order = z.object({ order: z.string() })
    const [placed, paid] = [event('order.placed', order), event('order.paid', order)]
    const keyed = workflow('keyed', { key: [by(placed, o => o.order), by(paid, p => p.order)], within: '1h' })
      .when('placed', on(placed), { within: '1h' })
      .when('paid', on(paid), { within: '1h' })
      .complete(() => 'sent')
    const strict = agent('strict', { input: z.object({ n: z.number() }), run: (_, { n }) => n })
    await created.worker({ use: [placed, paid, keyed, strict] })
    const publish = (type: string, data: object, within = '30s') =>
      tidings(created.place, ['publish', type, JSON.stringify(data), '--wait', '--within', within])
    const running = await publish('order.placed', { order: 'A' }, '1s')
    expect(running.stderr).toContain('✖ a task that took the event has not ended within 1s E_RESULT_PENDING')
    const ended = await publish('order.paid', { order: 'A' })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout.trimEnd().split('\n').at(-1)).toMatch(/agent\.task\.completed.*sent/)
    const late = await publish('order.paid', { order: 'A' })
    expect(late).toMatchObject({ code: 0, stdout: expect.stringContaining('workflow.late') })
    const refused = await publish('order.paid', { order: 7 })
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^✖ no task takes the event: .* E_EVENT_INVALID\n.*attention/),
    })
    const traced = await tidings(created.place, ['trace', 'last'])
    expect(traced.stdout).toMatch(/✖ order\.paid .* is dead: .*E_EVENT_INVALID\n.*tidings attention/)
    const { stdout } = await tidings(created.place, ['trace', 'last', '--json'])
    const dead = {
      kind: 'dead',
      event: { type: 'order.paid' },
      next: [expect.stringContaining('attention retry'), expect.anything()],
    }
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1)!)).toMatchObject(dead)
    const failed = await tidings(created.place, ['ask', 'strict', '{"n":"x"}'])
    expect(failed.code).toBe(1)
    expect(failed.stderr).toMatch(/^✖ .*E_AGENT_INPUT\n {2}→ The input does not match the schema/)
    expect(failed.stderr).not.toContain('E_INTERNAL')
  })
})
