import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { app } from '../../src/runtime/app.ts'
import { tool } from '../../src/tools/tool.ts'
import { noopModel } from './noop-model.ts'

const noop = tool('noop', { description: 'Does nothing.', input: z.object({ q: z.string() }), run: input => input })
const q = 'x'.repeat(292)

/** Three no-op tool calls with a no-op model between; every model call is an event, too. */
const loop = agent('loop', { on: 'bench.loop', model: noopModel('noop', 3), instructions: 'Go.', tools: [noop] })

/** The same three calls from straight-line code. */
const script = agent('script', {
  on: 'bench.script',
  async run(ctx) {
    for (let i = 0; i < 3; i++) await ctx.call(noop, { q })
    return 'done'
  },
})

/** The same three calls from a bare program, which plays its no-op model itself. */
const program = agent('program', {
  on: 'bench.program',
  init: () => ({ left: 3 }),
  evolve: (state: { left: number }, event) => (event.type === 'tool.result' ? { left: state.left - 1 } : state),
  decide(state, _inputs, ctx) {
    if (state.left === 0) ctx.complete('done')
    else ctx.call({ type: 'tool.invoke', target: 'noop', data: { input: { q } } })
  },
})

export default app({
  name: 'bench',
  use: [noop, loop, script, program],
  budget: { calls: Infinity, events: Infinity, bytes: Infinity },
})
