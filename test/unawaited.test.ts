import { expect, test } from 'vitest'
import { z } from 'zod'
import { agent, tool, type ScriptContext } from '../src/index.ts'
import { ask, onAnyBus } from './lib/world.ts'

/* What a run() agent may not do: leave a call behind that it never looked at, and speak for the runtime. */

const echo = tool('echo', { description: 'Echo', input: z.string(), run: text => text })
const runs = {
  forgets: async (ctx: ScriptContext) => {
    void ctx.call(echo, 'lost')
    return 'done'
  },
  sleeps: async (ctx: ScriptContext) => {
    void ctx.sleep('1h')
    return 'done'
  },
  later: async (ctx: ScriptContext) => {
    const first = ctx.call(echo, 'a')
    const second = await ctx.call(echo, 'b')
    return (await first) + second
  },
  races: async (ctx: ScriptContext) => Promise.race([ctx.call(echo, 'a'), ctx.sleep('1h').then(() => 'late')]),
  gathers: async (ctx: ScriptContext) => Promise.all([ctx.call(echo, 'a'), ctx.call(echo, 'b')]),
  returns: (ctx: ScriptContext) => ctx.call(echo, 'a'),
  speaks: async (ctx: ScriptContext) => ctx.emit({ type: 'tool.result', data: { output: 1 } }),
}
const use = [echo, ...Object.entries<(ctx: ScriptContext) => unknown>(runs).map(([name, run]) => agent(name, { run }))]

onAnyBus(world => {
  test.each<[keyof typeof runs, object]>([
    ['forgets', { error: { code: 'E_SCRIPT_UNAWAITED', message: expect.stringContaining('its call of "echo"') } }],
    ['sleeps', { error: { code: 'E_SCRIPT_UNAWAITED', message: expect.stringContaining('sleep') } }],
    ['later', { output: 'ab' }],
    ['races', { output: 'a' }],
    ['gathers', { output: ['a', 'b'] }],
    ['returns', { output: 'a' }],
    [
      'speaks',
      {
        error: {
          code: 'E_EVENT_INVALID',
          message: expect.stringContaining('types that begin with "tool" are reserved for the runtime'),
        },
      },
    ],
  ])('an agent that %s ends as it should', async (target, data) => {
    const running = await (await world()).worker({ use })
    const ended = await ask(running, { type: 'agent.invoke', source: '/test', target, data: { input: null } })
    expect(ended.data).toMatchObject(data)
  })
})
