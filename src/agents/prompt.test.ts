import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { given, result } from '../testing/given.ts'
import { callTool, reply } from '../testing/scripted-model.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { tool } from '../tools/tool.ts'
import { agent } from './agent.ts'

const model = offlineModel()
const search = tool('web.search', { description: 'Search', input: z.object({ q: z.string() }), run: () => [] })
const order = { event: { type: 'order.placed', data: { item: 'tea', language: 'German' } } }

describe('what a model agent makes of its input', () => {
  const clerk = agent('clerk', {
    on: 'order.placed',
    model,
    instructions: ({ language }) => `Answer in ${language}.`,
    prompt: ({ item }, { type }) => `${type}: ${item}`,
    tools: [search],
  })

  it('is recorded when the task begins, and all its requests refer to it', async () => {
    const placed = given(clerk, order)
    const [prompted, first] = await placed.emits([
      { type: 'agent.prompted', data: { instructions: 'Answer in German.', message: 'order.placed: tea' } },
      { type: 'model.invoke' },
    ])
    const { id } = prompted!
    expect(first!.data).toMatchObject({
      instructions: id,
      messages: [{ role: 'user', event: id }],
      first: { event: id },
    })
    const [second] = await placed.when(callTool('web.search', { q: 'tea' }), result('web.search', [])).emitted()
    expect(second!.data).toMatchObject({ instructions: id, first: { event: id }, prev: first!.id })
    await placed.when(reply('Gern.')).emits([{ type: 'agent.task.completed', data: { output: 'Gern.' } }])
  })

  it('is part of the hash of the program, and not of the definition', () => {
    const other = agent('clerk', { on: 'order.placed', model, instructions: () => 'Answer.', tools: [search] })
    expect(other.definition.hash).not.toBe(clerk.definition.hash)
    expect(other.needs!.key).toBe(clerk.needs!.key)
  })

  it('is the next message of a conversation that the task continues', async () => {
    const conversation = {
      prev: 'p',
      messages: [{ role: 'assistant', event: 'm' }],
      first: { role: 'user', event: 'f' },
    }
    const start = { type: 'agent.invoke', target: 'clerk', data: { input: { item: 'tea' }, conversation } }
    const [prompted, asked] = await given(clerk, { event: start }).emitted()
    expect(asked!.data).toMatchObject({
      first: { event: 'f' },
      messages: [{ event: 'm' }, { role: 'user', event: prompted!.id }],
    })
  })

  it('fails the task if it is not a text', () =>
    given(agent('wrong', { model, instructions: () => undefined as never }), { input: '?' }).emits([
      { type: 'agent.task.failed', data: { error: { code: 'E_PROGRAM_FAILED' } } },
    ]))
})
