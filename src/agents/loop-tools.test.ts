import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createEvent } from '../event.ts'
import { expires, failed, given, result, type ScenarioStep } from '../testing/given.ts'
import { callTool, callTools, reply } from '../testing/scripted-model.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { tool } from '../tools/tool.ts'
import { workflow } from '../workflows/workflow.ts'
import { app } from '../runtime/app.ts'
import { agent } from './agent.ts'
import { handover } from './loop-tools.ts'

const model = offlineModel()
const search = tool('web.search', { description: 'Search', input: z.object({ q: z.string() }), run: () => [] })
const researcher = agent('researcher', { description: 'Researches a question.', run: () => 'found' })
const refund = workflow('refund', {
  description: 'Refunds an order.',
  input: z.object({ order: z.string() }),
  within: '1d',
}).complete(s => s.event.order)
const billing = agent('billing', { description: 'Knows invoices.', model, instructions: 'Answer.', tools: [search] })
const invoked = { type: 'agent.invoke' }
const desk0 = { model, instructions: '' }
/** The user says something while the task runs. */
const message =
  (id: string): ScenarioStep =>
  (_open, { program, task, start: { correlationid } }) =>
    createEvent({ id, type: 'agent.message', target: program, subject: task, correlationid, data: { message: id } })

describe('agents and workflows among the tools of a model agent', () => {
  const boss = agent('boss', { model, instructions: 'Delegate.', tools: [search, researcher, refund] })

  it('are offered with their description and schema', () =>
    expect(boss.needs!.document.tools).toMatchObject([
      { name: 'web_search' },
      {
        name: 'researcher',
        description: 'Researches a question.',
        input: { properties: { input: { type: 'string' } }, required: ['input'] },
      },
      { name: 'refund', description: 'Refunds an order.', input: { properties: { order: { type: 'string' } } } },
    ]))

  it('are called, and the model gets their answers', async () => {
    const asked = given(boss, { input: '?' }).when(
      callTools(['researcher', { input: 'Why?' }], ['refund', { order: 'A-17' }]),
    )
    await asked.emits([
      { type: 'agent.invoke', target: 'researcher', data: { input: 'Why?', toolCallId: 'call-0' } },
      { type: 'agent.invoke', target: 'refund', data: { input: { order: 'A-17' }, toolCallId: 'call-1' } },
    ])
    await asked.when(result('researcher', 'Because.')).emits([])
    const [next] = await asked.when(failed('refund', 'E_NOT_FOUND')).emits([{ type: 'model.invoke' }])
    expect((next!.data as { messages: unknown[] }).messages).toMatchObject([
      { role: 'assistant' },
      { role: 'tool', toolName: 'researcher' },
      { role: 'tool', toolName: 'refund' },
    ])
  })

  it('may fail or not answer in time, and the model learns it', () =>
    given(boss, { input: '?' })
      .when(callTool('researcher', { input: 'Why?' }), expires('researcher'), reply('I do not know.'))
      .emits([{ type: 'agent.task.completed', data: { output: 'I do not know.' } }]))

  it('are not called without their input', () =>
    given(boss, { input: '?' })
      .when(callTool('researcher', 'Why?'))
      .emits([{ type: 'tool.failed', data: { error: { code: 'E_TOOL_INPUT' } } }, { type: 'model.invoke' }]))

  it('need a description, and a workflow needs an input', () => {
    const silent = agent('silent', { run: () => 1 })
    const started = workflow('started', { on: 'order.paid', description: 'Ships.', within: '1d' })
    expect(() => agent('a', { model, instructions: '', tools: [silent] })).toThrow(/"silent" has no description/)
    expect(() => agent('a', { model, instructions: '', tools: [started] })).toThrow(/give it an input schema/)
  })
})

describe('a hand-over', () => {
  const desk = agent('desk', { model, instructions: 'Hand over.', tools: [search, handover(billing)] })

  it('lets the other agent continue the conversation, whose answer is that of the task', async () => {
    const asked = given(desk, { input: 'My invoice?' }).when(callTool('transfer_to_billing', {}))
    const [taken] = await asked.emits([{ type: 'agent.invoke', target: 'billing' }])
    expect(taken!.data).toMatchObject({
      input: 'My invoice?',
      conversation: {
        messages: [{ role: 'assistant' }],
        first: { role: 'user', event: 'start' },
        handover: { toolCallId: 'call-0', toolName: 'transfer_to_billing' },
      },
    })
    await asked.when(result('billing', 'Paid.')).emits([{ type: 'agent.task.completed', data: { output: 'Paid.' } }])
  })

  it('waits for the other calls of the same step', async () => {
    const both = given(desk, { input: '?' }).when(callTools(['web.search', { q: 'a' }], ['transfer_to_billing', {}]))
    await both.emits([{ type: 'tool.invoke' }])
    const [taken] = await both.when(result('web.search', [])).emits([invoked])
    expect(taken!.data).toMatchObject({ conversation: { messages: [{ role: 'assistant' }, { role: 'tool' }] } })
  })

  it('happens once, whatever the model asks for', () =>
    given(desk, { input: '?' })
      .when(callTools(['transfer_to_billing', {}], ['transfer_to_billing', {}]))
      .emits([{ type: 'tool.failed', data: { error: { code: 'E_TOOL_INPUT' } } }, invoked]))

  it('fails the task with the error of the other agent', () =>
    given(desk, { input: '?' })
      .when(callTool('transfer_to_billing', {}), failed('billing', 'E_AGENT_STEPS'))
      .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_AGENT_STEPS' } } }]))

  it('gives the output that the task promises, or fails', () =>
    given(
      agent('strict', { model, instructions: '', output: z.object({ n: z.number() }), tools: [handover(billing)] }),
      {
        input: '?',
      },
    )
      .when(callTool('transfer_to_billing', {}), result('billing', 'Paid.'))
      .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_MODEL_OUTPUT' } } }]))

  it('is refused for an agent without a model', () =>
    expect(() => handover(researcher)).toThrow(/only an agent with a model/))

  it('may name an agent that is defined later', async () => {
    const back = { name: 'front', description: 'Knows everything else.' }
    const invoices = agent('invoices', { model, instructions: '', description: 'I', tools: [handover(back)] })
    const front = agent('front', { model, instructions: '', tools: [handover(invoices)] })
    expect(app({ use: [invoices, front] }).agents).toHaveLength(2)
    expect(invoices.needs!.document.tools[0]).toMatchObject({
      name: 'transfer_to_front',
      description: expect.stringContaining('Knows everything else.'),
    })
    await given(invoices, { input: '?' })
      .when(callTool('transfer_to_front', {}))
      .emits([{ type: 'agent.invoke', target: 'front' }])
    const plain = agent('front', { run: () => 1 })
    expect(() => app({ use: [invoices, plain] })).toThrow('hands conversations over to "front", which is no agent')
    expect(() => handover(undefined as never)).toThrow('for one that is defined later, { name, description }')
  })

  it('keeps what the user said before it for the other agent, and ends with its answer', async () => {
    const guarded = agent('guarded', { ...desk0, tools: [search, handover(billing)], guard: { output: search } })
    const chat = given(guarded, { input: '?' }).when(
      callTools(['web.search', { q: 'a' }], ['transfer_to_billing', {}]),
      message('Quick!'),
      result('web.search', []),
    )
    const [taken] = await chat.emits([invoked])
    expect((taken!.data as { conversation: { messages: unknown[] } }).conversation.messages).toMatchObject([
      { role: 'assistant' },
      { role: 'tool' },
      { role: 'user', event: 'Quick!' },
    ])
    await chat
      .when(result('billing', 'Paid.'), result('web.search', { allow: true }))
      .emits([{ type: 'agent.task.completed', data: { output: 'Paid.' } }])
  })

  it('is neither guarded nor prompted as a message of the user', async () => {
    const careful = agent('careful', {
      ...desk0,
      prompt: ({ text }: { text: string }) => text.toUpperCase(),
      guard: { input: search },
    })
    const conversation = {
      prev: 'p',
      messages: [
        { role: 'assistant', event: 'm' },
        { role: 'user', event: 'said' },
      ],
      first: { role: 'user', event: 'f' },
      handover: { toolCallId: 'c', toolName: 'transfer_to_careful' },
    }
    const start = { type: 'agent.invoke', target: 'careful', data: { input: 'of another agent', conversation } }
    const [, asked] = await given(careful, { event: start }).emits([
      { type: 'agent.prompted' },
      { type: 'model.invoke' },
    ])
    expect((asked!.data as { messages: unknown[] }).messages).toMatchObject([
      { role: 'assistant' },
      { role: 'tool', event: 'start' },
      { role: 'user', event: 'said' },
    ])
  })

  it('begins the other task with the conversation, and the request is the answer to the call', async () => {
    const conversation = {
      prev: 'p',
      messages: [{ role: 'assistant', event: 'm' }],
      first: { role: 'user', event: 'f' },
      handover: { toolCallId: 'c', toolName: 'transfer_to_billing' },
    }
    const start = { type: 'agent.invoke', target: 'billing', data: { input: '?', conversation } }
    const [ask] = await given(billing, { event: start }).emitted()
    expect(ask!.data).toMatchObject({
      prev: 'p',
      first: { event: 'f' },
      messages: [
        { role: 'assistant', event: 'm' },
        { role: 'tool', event: 'start', toolCallId: 'c' },
      ],
    })
  })
})
