import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { failed, given, result } from '../testing/given.ts'
import { callTools, reply } from '../testing/scripted-model.ts'
import { model } from '../models/model.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { tool } from '../tools/tool.ts'
import { agent } from './agent.ts'
import { handover } from './loop-tools.ts'

const search = tool('web.search', { description: 'Search', input: z.object({ q: z.string() }), run: () => [] })
const needs = (options: object) => agent('writer', { model: offlineModel(), instructions: 'Write.', ...options }).needs!

describe('the settings of a model agent', () => {
  it('are part of its definition, after those of the model', () => {
    const loud = model(offlineModel(), { temperature: 1, topK: 4, providerOptions: { a: { x: 1, y: 1 } } })
    const { document } = needs({ model: loud, temperature: 0.2, providerOptions: { a: { y: 2 }, b: { z: 3 } } })
    expect(document.settings).toEqual({
      temperature: 0.2,
      topK: 4,
      providerOptions: { a: { x: 1, y: 2 }, b: { z: 3 } },
    })
  })

  it('change the key of the definition, and leave it as it was without any', () => {
    expect(needs({ seed: 1 }).key).not.toBe(needs({}).key)
    expect(Object.keys(needs({}).document)).toEqual(['instructions', 'tools'])
  })

  it.each([
    [{ temperature: 'hot' }, /option "temperature" must be a number/],
    [{ reasoning: 'hard' }, /option "reasoning" must be "provider-default"/],
    [{ toolChoice: search }, /"toolChoice" must be "required" or one of `tools`/],
    [{ toolChoice: 'auto' }, /"toolChoice" must be/],
  ])('are checked: %o', (options, problem) => expect(() => needs(options)).toThrow(problem))
})

describe('toolChoice', () => {
  it.each([
    ['required', { type: 'required' }],
    [search, { type: 'tool', toolName: 'web_search' }],
  ])('applies to the first request of a task', async (toolChoice, expected) => {
    const writer = agent('writer', {
      model: offlineModel(),
      instructions: 'Write.',
      tools: [search],
      toolChoice: toolChoice as 'required',
    })
    const [first] = await given(writer, { input: '?' }).emitted()
    expect(first!.data).toMatchObject({ toolChoice: expected })
    const searched = given(writer, { input: '?' }).when(callTools(['web.search', { q: 'a' }]), result('web.search', []))
    expect((await searched.emitted())[0]!.data).not.toHaveProperty('toolChoice')
  })
})

describe('without parallel tools', () => {
  const other = agent('other', { description: 'Answers.', model: offlineModel(), instructions: '' })
  const options = { model: offlineModel(), instructions: 'Write.', parallelTools: false }
  const careful = agent('careful', { ...options, tools: [search, handover(other)] })
  const invoked = (q: string) => [{ type: 'tool.invoke', data: { input: { q } } }]

  it('the calls of one step are made one after the other, and the model gets all answers', async () => {
    const both = given(careful, { input: '?' }).when(
      callTools(['web.search', { q: 'a' }], ['nothing', {}], ['web.search', { q: 'b' }]),
    )
    await both.emits(invoked('a'))
    await both.when(failed('web.search', 'E_TOOL_THREW')).emits([{ type: 'tool.failed' }, ...invoked('b')])
    const [asked] = await both.when(result('web.search', [])).emits([{ type: 'model.invoke' }])
    expect((asked!.data as { messages: unknown[] }).messages).toHaveLength(4)
    await both.when(reply('Done.')).emits([{ type: 'agent.task.completed' }])
  })

  it('a hand-over comes last', async () => {
    const both = given(careful, { input: '?' }).when(
      callTools(['transfer_to_other', {}], ['web.search', { q: 'a' }], ['web.search', { q: 'b' }]),
    )
    await both.emits(invoked('a'))
    await both.when(result('web.search', [])).emits(invoked('b'))
    await both.when(result('web.search', [])).emits([{ type: 'agent.invoke', target: 'other' }])
  })

  it('providers that can are asked for one call at a time, where there are tools', () => {
    expect(careful.needs!.document.settings).toMatchObject({
      providerOptions: { openai: { parallelToolCalls: false }, anthropic: { disableParallelToolUse: true } },
    })
    expect(needs({ parallelTools: false }).document).not.toHaveProperty('settings')
  })
})
