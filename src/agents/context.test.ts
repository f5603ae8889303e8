import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createEvent, type CloudEvent } from '../event.ts'
import { given, result, type ScenarioStep } from '../testing/given.ts'
import { callTool, reply, type ModelStep } from '../testing/scripted-model.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { tool } from '../tools/tool.ts'
import { resultId } from '../bus/ids.ts'
import type { ModelRequest } from '../tasks/conversation.ts'
import { agent } from './agent.ts'

const search = tool('web.search', { description: 'Search', input: z.object({ q: z.string() }), run: () => [] })
const output = z.object({ n: z.number() })
const options = { model: offlineModel(), instructions: 'Read.', tools: [search], output, maxContextTokens: 1_000 }
const reader = agent('reader', options)

/** An answer of the model with this many tokens. */
const using =
  (tokens: number, { text, toolCalls, finish }: ModelStep): ScenarioStep =>
  (open, { program, start: { correlationid } }) => {
    const { id: call, target: model } = open.find(({ type }) => type === 'model.invoke')!
    const data = { model, text, toolCalls, finish, usage: { input: tokens, output: 0 } }
    return createEvent({ id: resultId(call), type: 'model.result', call, target: program, correlationid, data })
  }
const searched = (tokens: number) => [using(tokens, callTool('web.search', { q: 'a' })), result('web.search', ['hit'])]
const requestIn = (events: readonly CloudEvent[]) =>
  events.find(({ type }) => type === 'model.invoke')!.data as ModelRequest

describe('a conversation that becomes too long', () => {
  const long = () => given(reader, { input: '?' }).when(...searched(500), ...searched(1_500))

  it('is summarised by the model, and continues with the first message, the summary and the newest step', async () => {
    const reading = long()
    const [noted, asked] = await reading.emits([{ type: 'agent.noted' }, { type: 'model.invoke' }])
    const asking = asked!.data as ModelRequest
    expect(asking).toMatchObject({ summary: true })
    expect(asking.messages.map(({ role }) => role)).toEqual(['assistant', 'tool', 'user'])
    expect(asking.messages.at(-1)).toEqual({ role: 'user', event: noted!.id })
    const next = requestIn(await reading.when(using(2_000, reply('Found a hit.'))).emits([{ type: 'model.invoke' }]))
    expect(next).not.toHaveProperty('summary')
    expect(next).toMatchObject({
      prev: null,
      first: { event: 'start' },
      messages: [
        { role: 'user', event: 'start' },
        { role: 'user', event: resultId(asked!.id) },
        ...asking.messages.slice(0, -1),
      ],
    })
    await reading
      .when(using(900, reply({ n: 1 })))
      .emits([{ type: 'agent.task.completed', data: { output: { n: 1 } } }])
  })

  it('continues unchanged if the model gives no summary', async () => {
    const before = requestIn(await long().emitted())
    const reading = long().when(using(2_000, reply('')))
    const next = requestIn(await reading.emits([{ type: 'model.invoke' }]))
    expect(next).toMatchObject({ prev: before.prev, messages: before.messages.slice(0, -1) })
    await reading.when(...searched(1_500)).emits([{ type: 'model.invoke' }])
  })

  it('continues unchanged if the model refuses to give one', async () => {
    const refusal = reply('I cannot do that.', { finish: 'content-filter', rawFinish: 'refusal' })
    const before = requestIn(await long().emitted())
    const next = requestIn(
      await long()
        .when(using(2_000, refusal))
        .emits([{ type: 'model.invoke' }]),
    )
    expect(next).toMatchObject({ prev: before.prev, messages: before.messages.slice(0, -1) })
  })

  it('is not summarised again before two more requests', async () => {
    const reading = long().when(using(2_000, reply('Found.')), ...searched(1_500))
    expect(requestIn(await reading.emitted())).not.toHaveProperty('summary')
    expect(requestIn(await reading.when(...searched(1_500)).emitted())).toMatchObject({ summary: true })
  })

  it('is summarised before the first request of a task that continues it', async () => {
    const conversation = {
      prev: 'p',
      messages: [{ role: 'assistant', event: 'm' }],
      first: { role: 'user', event: 'f' },
      tokens: 1_001,
    }
    const start = { type: 'agent.invoke', target: 'reader', data: { input: '?', conversation } }
    const chooser = agent('reader', { ...options, toolChoice: search })
    const reading = given(chooser, { event: start })
    const [, asked] = await reading.emits([{ type: 'agent.noted' }, { type: 'model.invoke', data: { summary: true } }])
    const next = requestIn(await reading.when(using(10, reply('So far.'))).emitted())
    expect(next.messages.map(({ event }) => event)).toEqual(['f', resultId(asked!.id), 'm', 'start'])
    expect(asked!.data).not.toHaveProperty('toolChoice')
    expect(next.toolChoice).toEqual({ type: 'tool', toolName: 'web_search' })
  })
})
