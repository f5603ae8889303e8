import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createEvent, type Draft } from '../event.ts'
import { given, result, type ScenarioStep } from '../testing/given.ts'
import { callTool, reply } from '../testing/scripted-model.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { tool } from '../tools/tool.ts'
import { agent } from './agent.ts'
import { handover } from './loop-tools.ts'

const model = offlineModel()
const search = tool('web.search', { description: 'Search', input: z.object({ q: z.string() }), run: () => [] })
const helper = agent('helper', { description: 'Helps.', model, instructions: 'Help.', tools: [search] })
const asks = [{ type: 'model.invoke' }]
const completes = (output: unknown) => [{ type: 'agent.task.completed', data: { output } }]

/** The user says something while the task runs. */
const message =
  (text: string, more: Partial<Draft> = {}): ScenarioStep =>
  (_open, { program, task, start: { correlationid } }) => {
    const address = { target: program, subject: task, correlationid }
    return createEvent({ id: text, type: 'agent.message', ...address, data: { message: text }, ...more })
  }

const rolesOf = (data: unknown) => (data as { messages: { role: string }[] }).messages.map(({ role }) => role)

describe('a further message of the user', () => {
  it('that comes while the model answers is read before the task ends', async () => {
    const chat = given(helper, { input: '?' }).when(message('In blue, please.'))
    await chat.emits([])
    const [asked] = await chat.when(reply('Here it is in red.')).emits(asks)
    expect(rolesOf(asked!.data)).toEqual(['assistant', 'user'])
    await chat.when(reply('Here it is in blue.')).emits(completes('Here it is in blue.'))
  })

  it('that comes while tools run is part of the next request, after their answers', async () => {
    const chat = given(helper, { input: '?' }).when(callTool('web.search', { q: 'a' }), message('Quick!'))
    await chat.emits([])
    const [asked] = await chat.when(result('web.search', [])).emits(asks)
    expect(rolesOf(asked!.data)).toEqual(['assistant', 'tool', 'user'])
    await chat.when(reply('Done.')).emits(completes('Done.'))
  })

  it('takes effect once, however often it is delivered', async () => {
    const chat = given(helper, { input: '?' }).when(message('More.'), reply('One.'), message('More.'))
    await chat.when(reply('Two.')).emits(completes('Two.'))
  })

  it('ends a text that was being continued', () =>
    given(helper, { input: '?' })
      .when(reply('Once upon ', { finish: 'length' }), message('Stop!'), reply('a time'), reply('As you wish.'))
      .emits(completes('As you wish.')))

  it('is answered when the task takes it, under one id', async () => {
    const chat = given(helper, { input: '?' }).when(message('More.', { replyto: '@ask' }))
    const [taken] = await chat.emits([{ type: 'agent.message.taken', target: '@ask' }])
    expect(taken).toMatchObject({ id: 'More.:result', call: 'More.' })
  })

  it('is answered before the code that waited for it ends the task, and not if no code waits for it', async () => {
    const waiting = agent('waiting', {
      waitsFor: ['agent.message'],
      run: ctx => ctx.waitFor('agent.message'),
    })
    const said = message('Go', { replyto: '@ask' })
    await given(waiting, { input: '?' })
      .when(said)
      .emits([{ type: 'agent.message.taken' }, { type: 'agent.task.completed', data: { output: { message: 'Go' } } }])
    const deaf = agent('deaf', { run: ctx => ctx.sleep('1d') })
    await given(deaf, { input: '?' }).when(said).emits([])
  })

  it('that was forwarded takes effect once, however often it was forwarded', async () => {
    const copy = (id: string) => message('More.', { id, call: 'first', replyto: '@ask' })
    const chat = given(helper, { input: '?' }).when(copy('one'), copy('two'), reply('One.'))
    const [asked] = await chat.emits(asks)
    expect(rolesOf(asked!.data)).toEqual(['assistant', 'user'])
  })

  it('goes to the agent that took the conversation over, which answers it', async () => {
    const desk = agent('desk', { model, instructions: 'Hand over.', tools: [handover(helper)] })
    const chat = given(desk, { input: '?' }).when(callTool('transfer_to_helper', {}))
    await chat.emits([{ type: 'agent.invoke' }])
    const [passed] = await chat
      .when(message('More.', { replyto: '@ask' }))
      .emits([{ type: 'agent.message', target: 'helper', data: { message: 'More.' } }])
    expect(passed).toMatchObject({ subject: expect.stringMatching(/^01900000-/), call: 'More.', replyto: '@ask' })
    await chat.when(result('helper', 'Done.')).emits(completes('Done.'))
  })
})

describe('an earlier conversation', () => {
  it('is continued by the input of the task', async () => {
    const conversation = {
      prev: 'p',
      messages: [{ role: 'assistant', event: 'm' }],
      first: { role: 'user', event: 'f' },
    }
    const start = { type: 'agent.invoke', target: 'helper', data: { input: 'And now?', conversation } }
    const [asked] = await given(helper, { event: start }).emits(asks)
    expect(asked!.data).toMatchObject({
      prev: 'p',
      first: { event: 'f' },
      messages: [
        { role: 'assistant', event: 'm' },
        { role: 'user', event: 'start' },
      ],
    })
  })
})
