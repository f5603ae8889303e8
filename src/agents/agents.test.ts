import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { cancelled, expires, failed, given, result } from '../testing/given.ts'
import { callTool, callTools, reply } from '../testing/scripted-model.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { tool } from '../tools/tool.ts'
import { agent } from './agent.ts'

const search = tool('web.search', { description: 'Search', input: z.object({ q: z.string() }), run: () => [] })
const model = offlineModel()

describe('a model agent', () => {
  const researcher = agent('researcher', { model, instructions: 'Answer.', tools: [search], maxSteps: 4 })
  const asked = { type: 'model.invoke' }

  it('asks its model first', () => given(researcher, { input: 'What?' }).emits([asked]))

  it('calls the tools that the model wants', () =>
    given(researcher, { input: 'What?' })
      .when(callTool('web.search', { q: 'what' }))
      .emits([{ type: 'tool.invoke', target: 'web.search', data: { input: { q: 'what' } } }]))

  it('asks the model again when all tools have answered, with references only', async () => {
    const waiting = given(researcher, { input: 'What?' }).when(
      callTools(['web.search', { q: 'a' }], ['web.search', { q: 'b' }]),
    )
    await waiting.when(result('web.search', ['hit'])).emits([])
    const [ask] = await waiting.when(result('web.search', ['hit'])).emits([asked])
    const { messages } = ask!.data as { messages: { role: string; event: string }[] }
    expect(messages.map(({ role }) => role)).toEqual(['assistant', 'tool', 'tool'])
    expect(messages.every(({ event }) => event.endsWith(':result'))).toBe(true)
  })

  it('tells the model about a failed tool and about one that did not answer', async () => {
    await given(researcher, { input: '?' })
      .when(callTool('web.search', { q: 'a' }), failed('web.search', 'E_TOOL_THREW'))
      .emits([asked])
    await given(researcher, { input: '?' })
      .when(callTool('web.search', { q: 'a' }), expires('web.search'))
      .emits([asked])
  })

  it('answers a call of an unknown tool with an error and asks the model again', () =>
    given(researcher, { input: '?' })
      .when(callTool('rm.rf', {}))
      .emits([{ type: 'tool.failed', data: { error: { code: 'E_TOOL_UNKNOWN' } } }, asked]))

  it('completes with the text of the model', () =>
    given(researcher, { input: '?' })
      .when(reply('That.'))
      .emits([{ type: 'agent.task.completed', target: 'test', data: { output: 'That.' } }]))

  it('fails when the model does not answer in time', () =>
    given(researcher, { input: '?' })
      .when(expires(`${model.provider}/${model.modelId}`))
      .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_CALL_EXPIRED' } } }]))

  it('fails after maxSteps model calls', () =>
    given(agent('brief', { model, instructions: '', tools: [search], maxSteps: 1 }), { input: '?' })
      .when(callTool('web.search', { q: 'a' }), result('web.search', []))
      .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_AGENT_STEPS' } } }]))

  it('is cancelled from outside', () =>
    given(researcher, { input: '?' })
      .when(cancelled('enough'))
      .emits([{ type: 'agent.task.cancelled', data: { reason: 'enough' } }]))
})

describe('a model agent with an output schema', () => {
  const planner = agent('planner', { model, instructions: 'Plan.', output: z.object({ parts: z.array(z.string()) }) })

  it('completes with the validated object', () =>
    given(planner, { input: '?' })
      .when(reply('```json\n{"parts":["a"]}\n```'))
      .emits([{ type: 'agent.task.completed', data: { output: { parts: ['a'] } } }]))

  it('reports an invalid output to the model twice, then fails', async () => {
    const misled = given(planner, { input: '?' }).when(reply('no'))
    await misled.emits([{ type: 'agent.noted' }, { type: 'model.invoke' }])
    await misled.when(reply('{"parts":1}')).emits([{ type: 'agent.noted' }, { type: 'model.invoke' }])
    await misled.when(reply('{}')).emits([{ type: 'agent.task.failed', data: { error: { code: 'E_MODEL_OUTPUT' } } }])
  })
})

describe('a run() agent', () => {
  it('runs its code call by call', async () => {
    const buyer = agent('buyer', {
      on: 'order.placed',
      async run(ctx, order: { item: string }) {
        const hits = (await ctx.call(search, { q: order.item })) as string[]
        await ctx.sleep('1h')
        return hits.length
      },
    })
    const order = given(buyer, { event: { type: 'order.placed', data: { item: 'tea' } } })
    await order.emits([{ type: 'tool.invoke', target: 'web.search', data: { input: { q: 'tea' } } }])
    await order.when(result('web.search', ['a', 'b'])).emits([{ type: 'timer.set' }])
    await order.when(expires('timer')).emits([{ type: 'agent.task.completed', data: { output: 2 } }])
  })

  it('runs branches concurrently, each with its own scope', async () => {
    const both = agent('both', {
      run: async ctx => (await ctx.all(['a', 'b'].map(q => async branch => branch.call(search, { q })))).flat(),
    })
    const run = given(both, { input: null })
    await run.emits([{ type: 'tool.invoke' }, { type: 'tool.invoke' }])
    await run
      .when(result('web.search', [1]), result('web.search', [2]))
      .emits([{ type: 'agent.task.completed', data: { output: [1, 2] } }])
  })

  it('gets a failed call as an error with its code', () =>
    given(agent('careful', { run: async ctx => ctx.call(search, { q: '' }).catch(error => error.code) }), {
      input: null,
    })
      .when(failed('web.search', 'E_TOOL_TIMEOUT'))
      .emits([{ type: 'agent.task.completed', data: { output: 'E_TOOL_TIMEOUT' } }]))

  it('fails with the error that its code throws', () =>
    given(agent('broken', { run: () => { throw new Error('oops') } }), { input: null }) // biome-ignore format: short
      .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_PROGRAM_FAILED', message: 'oops' } } }]))

  it('fails if it awaits anything other than ctx', () =>
    given(agent('foreign', { run: () => new Promise(resolve => setImmediate(resolve)) }), { input: null }).emits([
      { type: 'agent.task.failed', data: { error: { code: 'E_SCRIPT_FOREIGN_AWAIT' } } },
    ]))

  it('continues as a new task that answers its caller', () =>
    given(agent('counter', { run: (ctx, n: number) => (n > 0 ? ctx.continueAs(n - 1) : 'done') }), { input: 3 }).emits([
      { type: 'agent.invoke', target: 'counter', data: { input: 2 } },
    ]))
})

describe('a program', () => {
  it('that is not pure fails its scenario', async () => {
    let calls = 0
    const impure = agent('impure', {
      init: () => ({ n: ++calls }),
      evolve: state => state,
      decide: (_state, _inputs, ctx) => ctx.complete(1),
    })
    await expect(given(impure, { input: null }).emitted()).rejects.toThrow('not pure')
  })
})
