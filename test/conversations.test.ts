import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { describe, expect, it, onTestFinished } from 'vitest'
import { agent, app, handover, model as named, start, tool } from '../src/index.ts'
import { z } from 'zod'
import type { CloudEvent } from '../src/event.ts'
import { MemoryDriver } from '../src/testing/memory/driver.ts'
import { MemoryLog } from '../src/testing/memory/log.ts'
import { intercepted } from './lib/disordered.ts'
import { plainModel, readIn } from './lib/plain-model.ts'
import { lines } from './lib/reading.ts'
import { ended, eventsOf, onAnyBus } from './lib/world.ts'

/* Conversations that go on after their first request, and what the user says meanwhile. */

onAnyBus(world => {
  describe('a conversation', () => {
    it('includes what the user says while a tool runs', async () => {
      const running = Promise.withResolvers<void>()
      const answering = Promise.withResolvers<string>()
      const slow = tool('slow', {
        description: 'Waits.',
        input: z.object({}),
        run: () => (running.resolve(), answering.promise),
      })
      const { model } = plainModel(prompt =>
        readIn(prompt).length > 1 ? readIn(prompt).join(' | ') : [{ id: 'c', tool: 'slow', input: {} }],
      )
      const helper = agent('helper', { model, instructions: 'Help.', tools: [slow] })
      const worker = await (await world()).worker({ use: [helper, slow] })
      const handle = await worker.ask(helper, 'Begin')
      await running.promise
      await handle.say('Hurry')
      answering.resolve('done')
      expect(await handle.result({ within: '20s' })).toBe('Begin | "done" | Hurry')
    })

    it('that becomes too long continues with a summary', async () => {
      const look = tool('look', {
        description: 'Looks.',
        input: z.object({ n: z.number() }),
        run: ({ n }) => `seen ${n}`,
      })
      const seen: LanguageModelV4CallOptions[] = []
      const { model: plain } = plainModel(prompt => {
        if (readIn(prompt).at(-1)!.includes('Summarise it')) return 'I saw 1 and 2.'
        return seen.length <= 2 ? [{ id: `c${seen.length}`, tool: 'look', input: { n: seen.length } }] : '{"done":true}'
      })
      const doStream = (options: LanguageModelV4CallOptions) => (seen.push(options), plain.doStream(options))
      const output = z.object({ done: z.boolean() })
      const options = { instructions: 'Look.', tools: [look], output, maxContextTokens: 1 }
      const looker = agent('looker', { model: { ...plain, doStream }, ...options })
      const log = await world()
      const worker = await log.worker({ use: [looker, look] })
      const handle = await worker.ask(looker, 'What is there?')
      expect(await handle.result({ within: '20s' })).toEqual({ done: true })
      expect(seen[2]).toMatchObject({ toolChoice: { type: 'none' } })
      expect(seen[2]).not.toHaveProperty('responseFormat')
      expect(seen[3]).toMatchObject({
        responseFormat: { type: 'json' },
        prompt: [
          { role: 'system' },
          { role: 'user', content: [{ text: 'What is there?' }] },
          { role: 'user', content: [{ text: 'Summary of the conversation so far:\n\nI saw 1 and 2.' }] },
          { role: 'assistant', content: [{ type: 'tool-call', toolCallId: 'c2' }] },
          { role: 'tool', content: [{ output: { value: 'seen 2' } }] },
        ],
      })
      expect(await lines(log.place, 'trace', handle.correlation)).toMatch(/model test\/plain .* summary, 2 tokens/)
    })

    it('is continued by another task, and begins later if its oldest events are gone', async () => {
      const { model, asked } = plainModel(prompt => readIn(prompt).join(' | '))
      const helper = agent('helper', { model, instructions: 'Help.' })
      const worker = await (await world()).worker({ use: [helper] })
      const first = await worker.bus.publish({ type: 'agent.invoke', target: 'helper', data: { input: 'One' } })
      const { correlationid } = await ended(worker, first.correlationid, first.id)
      const [invoke] = (await eventsOf(worker, correlationid)).filter(({ type }) => type === 'model.invoke')
      const answer = { role: 'assistant', event: `${invoke!.id}:result` }
      const goOn = async (conversation: object) => {
        const data = { input: 'Two', conversation }
        const { id } = await worker.bus.publish({ type: 'agent.invoke', target: 'helper', correlationid, data })
        return (await ended(worker, correlationid, id)).data
      }
      const begin = { role: 'user', event: first.id }
      expect(await goOn({ prev: invoke!.id, messages: [answer], first: begin })).toMatchObject({
        output: 'One | One | Two',
      })
      const calls = { toolCallId: 'c', toolName: 'slow' }
      const unanswered = await worker.bus.publish({
        type: 'model.result',
        correlationid,
        data: { text: '', toolCalls: [{ ...calls, input: {} }] },
      })
      const left = { role: 'assistant', event: unanswered.id }
      expect(await goOn({ prev: invoke!.id, messages: [left], first: begin })).toMatchObject({ output: 'One | Two' })
      expect(asked.at(-1)!.find(({ role }) => role === 'tool')!.content).toMatchObject([
        { ...calls, output: { type: 'error-json', value: { code: 'E_TASK_CANCELLED' } } },
      ])
      const purged = { role: 'user', event: '01900000-0000-7000-8000-000000000001' }
      expect(await goOn({ prev: purged.event, messages: [answer], first: purged })).toMatchObject({ output: 'Two' })
    })
  })
})

it('a conversation that an agent without tools takes over declares the tools that it called, as Anthropic demands', async () => {
  const asked: LanguageModelV4CallOptions[] = []
  const { model: plain } = plainModel(() => 'Paid.')
  const doStream = (options: LanguageModelV4CallOptions) => (asked.push(options), plain.doStream(options))
  const options = { model: named({ ...plain, doStream }, { name: 'second' }), instructions: '' }
  const second = agent('second', { ...options, description: 'Knows.' })
  const { model: transfer } = plainModel(() => [{ id: 'c', tool: 'transfer_to_second', input: {} }])
  const first = agent('first', { model: transfer, instructions: '', tools: [handover(second)] })
  const driver = new MemoryDriver(new MemoryLog())
  const running = await start(app({ use: [first, second] }), { driver, only: ['agents', 'models'] })
  onTestFinished(() => running.stop())
  expect(await (await running.ask(first, '?')).result({ within: '10s' })).toBe('Paid.')
  expect(asked[0]).toMatchObject({
    tools: [{ type: 'function', name: 'transfer_to_second' }],
    toolChoice: { type: 'none' },
  })
  expect(await (await running.ask(second, '?')).result({ within: '10s' })).toBe('Paid.')
  expect(asked[1]).not.toHaveProperty('tools')
  expect(asked[1]).not.toHaveProperty('toolChoice')
})

/** What a desk that hands its conversation over, and the agent that takes it, are given until the task ends. */
const stations = [
  ['agent.invoke', 'desk'],
  ['model.invoke', 'desk-model'],
  ['model.result', 'desk'],
  ['agent.invoke', 'billing'],
  ['model.invoke', 'billing-model'],
  ['model.result', 'billing'],
  ['agent.task.completed', 'desk'],
] as const

type Arrival = { readonly at: number; readonly before?: boolean }

/** Asks the desk, and says something that reaches each of the two agents at a certain time: with the delivery at that station, or after all. */
async function sayWhile(desk: Arrival, billing: Arrival) {
  const held: { to: string; handOn: () => void }[] = []
  let begin: (() => void) | undefined
  const release = (agent: string) => {
    for (const each of held.splice(0))
      if (each.to === agent) each.handOn()
      else held.push(each)
  }
  const isAt = ({ type, target }: CloudEvent, at: number) => type === stations[at]?.[0] && target === stations[at][1]
  const passed = { desk: false, billing: false }
  const driver = intercepted(new MemoryDriver(new MemoryLog()), ({ event }, handOn) => {
    const { type, target } = event
    if (type === 'agent.message') {
      const to = target as 'desk' | 'billing'
      if (passed[to]) return handOn()
      held.push({ to, handOn })
      // The conversation begins when the message waits at its first agent.
      begin?.()
      begin = undefined
      return
    }
    const go = () => {
      const arriving = Object.entries({ desk, billing }).filter(([, { at }]) => isAt(event, at))
      for (const [agent] of arriving) passed[agent as 'desk'] = true
      for (const [agent, { before }] of arriving) if (before) release(agent)
      handOn()
      for (const [agent, { before }] of arriving) if (!before) release(agent)
    }
    if (isAt(event, 0)) begin = go
    else go()
  })
  const transfer = plainModel(() => [{ id: 'c', tool: 'transfer_to_billing', input: {} }]).model
  const echo = plainModel(prompt => readIn(prompt).join(' | ')).model
  const second = agent('billing', {
    model: named(echo, { name: 'billing-model' }),
    description: 'Knows invoices.',
    instructions: '',
  })
  const first = agent('desk', {
    model: named(transfer, { name: 'desk-model' }),
    instructions: '',
    tools: [handover(second)],
  })
  const running = await start(app({ use: [first, second] }), { driver, only: ['agents', 'models'] })
  const handle = await running.ask(first, 'Hello')
  const saying = handle.say('Hurry').then(
    () => 'taken',
    (error: { code: string }) => error.code,
  )
  const result = await handle.result({ within: '10s' })
  for (const agent of ['desk', 'billing'] as const) {
    passed[agent] = true
    release(agent)
  }
  const said = await saying
  await running.stop()
  return { isRead: result.includes('Hurry'), said }
}

describe('a message', () => {
  const over = stations.length
  const arrivals = Array.from({ length: over + 1 }, (_, at) => [{ at }, { at, before: true }]).flat()
  // The desk forwards what comes while billing has the conversation.
  const forwarded = arrivals.filter(({ at }) => at > 3)
  const cases = [
    ...arrivals.map(desk => ({ desk, billing: desk })),
    ...forwarded.map(billing => ({ desk: { at: 3, before: true }, billing })),
  ]

  it('is read, or its sender learns that the task ended, whenever it comes in a hand-over', async () => {
    const outcomes = new Set<string>()
    for (const { desk, billing } of cases) {
      const { isRead, said } = await sayWhile(desk, billing)
      expect([desk, billing, said]).toEqual([desk, billing, isRead ? 'taken' : 'E_TASK_ENDED'])
      outcomes.add(said)
    }
    expect(outcomes.size).toBe(2)
  })
})
