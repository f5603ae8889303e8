import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { ModelLike } from '../src/agents/agent-options.ts'
import type { CloudEvent } from '../src/event.ts'
import { model } from '../src/models/model.ts'
import { modelFromEnvironment } from '../src/models/provider.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import { openaiServer } from '../src/testing/openai-server.ts'
import type { TextDelta } from '../src/tasks/text-delta.ts'
import { until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { noopModel } from '../bench/lib/noop-model.ts'
import { ask, ended, eventsOf, typesOf, onAnyBus } from './lib/world.ts'

onAnyBus(world => {
  const search = tool('web.search', {
    description: 'Searches.',
    input: z.object({ q: z.string() }),
    run: ({ q }) => [`about ${q}`],
  })

  async function desk(languageModel: ModelLike, more: object = {}): Promise<RunningApp> {
    const researcher = agent('researcher', {
      on: 'question',
      model: languageModel,
      instructions: 'Answer.',
      tools: [search],
      ...more,
    })
    return (await world()).worker({ use: [researcher, search] })
  }

  const question = { type: 'question', data: 'Why?' }
  const searching = { toolCalls: [{ id: 'c1', name: 'web_search', arguments: { q: 'why' } }] }

  describe('a model over the OpenAI protocol', () => {
    it('calls tools and answers, with usage and cost on the log and the text as signals on the way', async () => {
      await using server = await openaiServer(searching, { text: 'Because.', usage: { prompt: 10, completion: 2 } })
      const languageModel = await modelFromEnvironment({ TIDINGS_MODEL: `${server.url}#local` })
      const worker = await desk(model(languageModel, { price: { input: 1, output: 10 } }))
      let streamed = ''
      worker.bus.onSignal([{ types: ['model.delta'] }], ({ data }) => {
        const { kind, text } = data as TextDelta
        if (kind === 'text') streamed += text
      })
      const done = await ask(worker, question)
      expect(done.data).toMatchObject({ output: 'Because.' })
      const events = await eventsOf(worker, done.correlationid)
      expect(typesOf(events)).toEqual([
        'question',
        'model.invoke',
        'model.result',
        'tool.invoke',
        'tool.result',
        'model.invoke',
        'model.result',
        'agent.task.completed',
      ])
      expect(events.findLast(event => event.type === 'model.result')!.data).toMatchObject({
        usage: { input: 10, output: 2 },
        cost: 30e-6,
      })
      await until(() => streamed === 'Because.')
      const { messages } = server.requests[1]!.body as { messages: { role: string }[] }
      expect(messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'tool'])
    })

    it('waits as long as a busy provider asks, and retries', async () => {
      await using server = await openaiServer({ status: 429, retryAfter: 1 }, { text: 'At last.' })
      const worker = await desk(await modelFromEnvironment({ TIDINGS_MODEL: `${server.url}#local` }))
      const begin = performance.now()
      expect((await ask(worker, question)).data).toMatchObject({ output: 'At last.' })
      expect(performance.now() - begin).toBeGreaterThan(950)
    })

    it('retries when the stream breaks, and discards the partial answer', async () => {
      await using server = await openaiServer({ text: 'Half of the answ', cutAfter: 2 }, { text: 'Whole.' })
      const worker = await desk(await modelFromEnvironment({ TIDINGS_MODEL: `${server.url}#local` }))
      const done = await ask(worker, question)
      expect(done.data).toMatchObject({ output: 'Whole.' })
      expect(typesOf(await eventsOf(worker, done.correlationid)).filter(type => type === 'model.result')).toHaveLength(
        1,
      )
    })

    it('tells the model that its arguments are not JSON', async () => {
      await using server = await openaiServer(
        { toolCalls: [{ id: 'c1', name: 'web_search', arguments: '{"q": ' }] },
        { text: 'Sorry.' },
      )
      const worker = await desk(await modelFromEnvironment({ TIDINGS_MODEL: `${server.url}#local` }))
      const done = await ask(worker, question)
      expect(done.data).toMatchObject({ output: 'Sorry.' })
      const failed = (await eventsOf(worker, done.correlationid)).find(event => event.type === 'tool.failed')
      expect(failed!.data).toMatchObject({ error: { code: 'E_TOOL_INPUT' } })
    })

    it('fails the task when the provider refuses', async () => {
      await using server = await openaiServer({ status: 401 })
      const languageModel = createOpenAICompatible({ name: 'local', baseURL: server.url }).chatModel('m') as ModelLike
      expect((await ask(await desk(languageModel), question)).data).toMatchObject({
        error: { code: 'E_MODEL_FAILED', message: expect.stringContaining('401') },
      })
    })
  })

  describe('a conversation', () => {
    it('of 200 steps costs bytes in proportion to its length', async () => {
      const noop = tool('noop', { description: '', input: z.any(), run: () => 'x'.repeat(300) })
      const log = await world()
      const bytesOf = async (steps: number) => {
        const name = `loop${steps}`
        const looper = agent(name, {
          on: `go.${name}`,
          model: model(noopModel('noop', steps), { name }),
          instructions: 'Go.',
          tools: [noop],
          maxSteps: 500,
          window: 1_000,
        })
        const worker = await log.worker({ name, use: [looper, noop] })
        const { correlationid, id } = await worker.bus.publish({ type: `go.${name}`, data: null })
        const done = await ended(worker, correlationid, id, 60_000)
        expect(done.type).toBe('agent.task.completed')
        const events: CloudEvent[] = await eventsOf(worker, done.correlationid)
        return JSON.stringify(events).length / steps
      }
      expect(await bytesOf(200)).toBeLessThan(1.1 * (await bytesOf(20)))
    }, 120_000)
  })
})
