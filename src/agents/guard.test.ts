import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createEvent } from '../event.ts'
import { expires, failed, given, result, type ScenarioStep } from '../testing/given.ts'
import { callTool, reply } from '../testing/scripted-model.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { tool } from '../tools/tool.ts'
import { agent } from './agent.ts'

const model = offlineModel()
const toolOf = (name: string) =>
  tool(name, { description: '-', input: z.looseObject({}), run: () => ({ allow: true }) })
const search = toolOf('web.search')
const polite = toolOf('polite')
const judge = agent('judge', { description: 'Judges.', model, instructions: 'Judge.' })
const helper = agent('helper', {
  model,
  instructions: 'Help.',
  tools: [search],
  guard: { input: polite, output: judge },
})

const allow = (more: object = {}) => ({ allow: true, ...more })
const asks = [{ type: 'model.invoke' }]
const completes = (output: unknown) => [{ type: 'agent.task.completed', data: { output } }]
const refuses = [{ type: 'agent.task.failed', data: { error: { code: 'E_AGENT_REFUSED' } } }]
const checksInput = (message: unknown) => [{ type: 'tool.invoke', target: 'polite', data: { input: { message } } }]
const checksOutput = (output: unknown) => [{ type: 'agent.invoke', target: 'judge', data: { input: { output } } }]
const message =
  (text: string): ScenarioStep =>
  (_open, { program, task, start: { correlationid } }) =>
    createEvent({
      id: text,
      type: 'agent.message',
      target: program,
      subject: task,
      correlationid,
      data: { message: text },
    })
const refsIn = (data: unknown) => (data as { messages: { event: string }[] }).messages.map(({ event }) => event)

describe('a guard of the input', () => {
  it('is asked before the model', async () => {
    const asked = given(helper, { input: 'Hello' })
    await asked.emits(checksInput('Hello'))
    await asked.when(result('polite', allow())).emits(asks)
  })

  it('refuses, and the task fails with its reason', async () => {
    const rude = given(helper, { input: '!' }).when(result('polite', { allow: false, reason: 'shouting' }))
    const [end] = await rude.emits(refuses)
    expect(end!.data).toMatchObject({ error: { message: 'the guard of the input refused: shouting' } })
  })

  it('rewrites, and the model reads its answer in place of the message', async () => {
    const [asked] = await given(helper, { input: 'Ann' })
      .when(result('polite', allow({ rewrite: '[name]' })))
      .emits(asks)
    const { first, messages } = asked!.data as { first: { event: string }; messages: unknown[] }
    expect(first.event).toMatch(/:result$/)
    expect(messages).toEqual([{ role: 'user', event: first.event }])
  })

  it.each([
    ['fails', failed('polite', 'E_TOOL_THREW'), 'E_TOOL_THREW'],
    ['does not answer', expires('polite'), 'E_CALL_EXPIRED'],
    ['answers with something else', result('polite', 'yes'), 'E_AGENT_REFUSED'],
  ])('fails the task if it %s', async (_, step, code) => {
    await given(helper, { input: '?' })
      .when(step)
      .emits([{ type: 'agent.task.failed', data: { error: { code } } }])
  })

  it('checks what the agent makes of its input', async () => {
    const asked = given(agent('a', { model, instructions: '', prompt: q => `Q: ${q}`, guard: { input: polite } }), {
      input: 'Why?',
    })
    const [prompted] = await asked.emits([{ type: 'agent.prompted' }, ...checksInput('Q: Why?')])
    const [request] = await asked.when(result('polite', allow())).emits(asks)
    expect(refsIn(request!.data)).toEqual([prompted!.id])
  })

  it('checks further messages too, before the model reads them and before the task ends', async () => {
    const chat = given(helper, { input: '?' }).when(result('polite', allow()), message('More'))
    await chat.emits(checksInput('More'))
    await chat.when(reply('Done.')).emits([])
    const [asked] = await chat.when(result('polite', allow({ rewrite: 'more' }))).emits(asks)
    expect(refsIn(asked!.data)).toHaveLength(2)
    expect(refsIn(asked!.data)).not.toContain('More')
    await chat.when(reply('Done.')).emits(checksOutput('Done.'))
  })

  it('holds a request back while tools answer', async () => {
    const chat = given(helper, { input: '?' }).when(
      result('polite', allow()),
      callTool('web.search', { q: 'a' }),
      message('More'),
      result('web.search', []),
    )
    await chat.emits([])
    await chat.when(result('polite', allow())).emits(asks)
  })
})

describe('a guard of the output', () => {
  const answered = (text: string) => given(helper, { input: '?' }).when(result('polite', allow()), reply(text))

  it('is asked before the task ends', async () => {
    const task = answered('Done.')
    await task.emits(checksOutput('Done.'))
    await task.when(result('judge', allow())).emits(completes('Done.'))
  })

  it('rewrites or refuses the answer', async () => {
    await answered('Ann did it.')
      .when(result('judge', allow({ rewrite: 'It is done.' })))
      .emits(completes('It is done.'))
    await answered('No!')
      .when(result('judge', { allow: false }))
      .emits(refuses)
  })

  it('must rewrite it to what fits the schema', () => {
    const options = { model, instructions: '', output: z.object({ n: z.number() }), guard: { output: judge } }
    return given(agent('counter', options), { input: '?' })
      .when(reply({ n: 1 }), result('judge', allow({ rewrite: { n: 'one' } })))
      .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_MODEL_OUTPUT' } } }])
  })

  it('lets the model answer again if the user has said more meanwhile', async () => {
    const chat = answered('Done.').when(message('More'))
    await chat.emits(checksInput('More'))
    await chat.when(result('judge', allow())).emits([])
    await chat.when(result('polite', allow())).emits(asks)
  })
})

describe('an agent that is a guard itself', () => {
  it('takes its start for what it is', () => {
    const guard = { message: 'x' }
    const start = { type: 'agent.invoke', target: 'helper', data: { input: { message: 'Hi' }, guard } }
    return given(helper, { event: start }).emits(checksInput({ message: 'Hi' }))
  })
})
