import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createEvent } from '../event.ts'
import { given, result, type ScenarioStep } from '../testing/given.ts'
import { callTool, callTools, reply } from '../testing/scripted-model.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { tool } from '../tools/tool.ts'
import { agent } from './agent.ts'

const model = offlineModel()
const search = tool('web.search', { description: 'Search', input: z.object({ q: z.string() }), run: () => [] })
const output = z.object({ parts: z.array(z.string()) })
const options = { model, instructions: 'Plan.', tools: [search], outputMode: 'tool' } as const
const planner = agent('planner', { ...options, output })
const completes = (value: unknown) => [{ type: 'agent.task.completed', data: { output: value } }]
const refused = [{ type: 'tool.failed', data: { toolName: 'final_answer' } }, { type: 'model.invoke' }]

describe('an output by a call', () => {
  it('is a tool for the model, in place of a response format', () => {
    const { document } = planner.needs!
    expect(document.tools.map(({ name }) => name)).toEqual(['web_search', 'final_answer'])
    expect(document).not.toHaveProperty('output')
  })

  it('completes the task', () =>
    given(planner, { input: '?' })
      .when(callTool('web.search', { q: 'a' }), result('web.search', []), callTool('final_answer', { parts: ['a'] }))
      .emits(completes({ parts: ['a'] })))

  it('may be something else than an object', () => {
    const counter = agent('counter', { ...options, output: z.number() })
    return given(counter, { input: '?' })
      .when(callTool('final_answer', { input: 7 }))
      .emits(completes(7))
  })

  it('is asked for again if it does not fit, twice, then fails', async () => {
    const misled = given(planner, { input: '?' }).when(callTool('final_answer', {}))
    await misled.emits(refused)
    await misled.when(callTool('final_answer', { parts: 1 })).emits(refused)
    await misled
      .when(callTool('final_answer', {}))
      .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_MODEL_OUTPUT' } } }])
  })

  it('that does not know the message of the user is not a misfit', async () => {
    const says =
      (id: string): ScenarioStep =>
      (_open, { program, task, start: { correlationid } }) =>
        createEvent({ id, type: 'agent.message', target: program, subject: task, correlationid, data: { message: id } })
    const answered = callTool('final_answer', { parts: [] })
    const chat = given(planner, { input: '?' }).when(says('a'), answered, says('b'), answered, says('c'), answered)
    await chat.emits(refused)
    await chat.when(callTool('final_answer', {})).emits(refused)
    await chat.when(answered).emits(completes({ parts: [] }))
  })

  it('is refused next to other calls, which are made', async () => {
    const both = given(planner, { input: '?' }).when(
      callTools(['final_answer', { parts: [] }], ['web.search', { q: 'a' }]),
    )
    await both.emits([{ type: 'tool.failed', data: { toolName: 'final_answer' } }, { type: 'tool.invoke' }])
    await both
      .when(result('web.search', []), callTool('final_answer', { parts: ['b'] }))
      .emits(completes({ parts: ['b'] }))
  })

  it('may be a text that fits; one that does not is asked for as a call', async () => {
    await given(planner, { input: '?' })
      .when(reply({ parts: [] }))
      .emits(completes({ parts: [] }))
    const [noted] = await given(planner, { input: '?' })
      .when(reply('The parts are a and b.'))
      .emits([{ type: 'agent.noted' }, { type: 'model.invoke' }])
    expect(noted!.data).toMatchObject({ text: expect.stringContaining('by a call of final_answer') })
  })
})
