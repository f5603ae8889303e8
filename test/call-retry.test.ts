import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { model } from '../src/models/model.ts'
import type { CallRetryOptions } from '../src/tasks/retry.ts'
import { tool } from '../src/tools/tool.ts'
import { plainModel } from './lib/plain-model.ts'
import { ask, eventsOf, onAnyBus } from './lib/world.ts'

/** A tool that always throws, and notes each run. */
function failing(options: { retry?: { maxAttempts: number; backoff: number } } = {}) {
  const runs: number[] = []
  const definition = tool('fail', {
    description: '',
    input: z.null(),
    ...options,
    run(_, { attempt }) {
      runs.push(attempt)
      throw new Error('down')
    },
  })
  return { definition, runs }
}

onAnyBus(world => {
  it.each<[string, CallRetryOptions | undefined, number]>([
    ['without a policy it has the policy of the tool', undefined, 2],
    ['with one it has that, and the rest from the tool', { maxAttempts: 4 }, 4],
    ['names an error that is not retried', { maxAttempts: 4, nonRetryable: ['Error'] }, 1],
  ])('a call %s', async (_, retry, attempts) => {
    const log = await world()
    const { definition, runs } = failing({ retry: { maxAttempts: 2, backoff: 1 } })
    const caller = agent('caller', { on: 'go', run: ctx => ctx.call(definition, null, { ...(retry && { retry }) }) })
    const worker = await log.worker({ use: [caller, definition] })
    const end = await ask(worker, { type: 'go', data: null })
    expect(end.data).toMatchObject({ error: { code: 'E_TOOL_THREW' } })
    expect(runs).toHaveLength(attempts)
    const request = (await eventsOf(worker, end.correlationid)).find(({ type }) => type === 'tool.invoke')
    expect(request!.data).toEqual({ input: null, ...(retry && { retry }) })
  })

  it('a malformed policy of a request from elsewhere counts as none', async () => {
    const log = await world()
    const { definition, runs } = failing({ retry: { maxAttempts: 2, backoff: 1 } })
    const caller = agent('caller', {
      on: 'go',
      init: () => null,
      evolve: () => null,
      decide(_state, [input], ctx) {
        if (input!.type !== 'go') return ctx.complete(input!.type)
        ctx.call({ type: 'tool.invoke', target: 'fail', data: { input: null, retry: { maxAttempts: 'many' } } })
      },
    })
    const worker = await log.worker({ use: [caller, definition] })
    expect((await ask(worker, { type: 'go', data: null })).data).toMatchObject({ output: 'tool.failed' })
    expect(runs).toHaveLength(2)
  })

  it('a request to a model has one too', async () => {
    const log = await world()
    let asked = 0
    const languageModel = {
      ...plainModel(() => '').model,
      doStream() {
        asked++
        return Promise.reject(Object.assign(new Error('down'), { code: 'ECONNREFUSED' }))
      },
    }
    const plain = model(languageModel, { name: 'plain', retry: { maxAttempts: 9, backoff: 1 } })
    // Its definition is the one that the request names.
    const asker = agent('asker', { model: plain, instructions: '' })
    const caller = agent('caller', {
      on: 'go',
      run: ctx => {
        const first = { role: 'user', event: ctx.event.id }
        const request = { definition: asker.needs!.key, prev: null, messages: [first], first, window: 9 }
        return ctx.call(plain, request, { retry: { maxAttempts: 2 } })
      },
    })
    const worker = await log.worker({ use: [caller, asker, plain] })
    const end = await ask(worker, { type: 'go', data: null })
    expect(end.data).toMatchObject({ error: { code: 'E_MODEL_UNAVAILABLE' } })
    expect(asked).toBe(2)
  })
})
