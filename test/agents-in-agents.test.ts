import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent, handover, model, tool, workflow } from '../src/index.ts'
import { plainModel, readIn } from './lib/plain-model.ts'
import { lines } from './lib/reading.ts'
import { ask, eventsOf, onAnyBus, typesOf } from './lib/world.ts'

/* Agents and workflows among the tools of a model agent, with everything between them on the log. */

const search = tool('search', {
  description: 'Searches.',
  input: z.object({ q: z.string() }),
  run: ({ q }) => `about ${q}`,
})
const invoke = (target: string, input: unknown) => ({ type: 'agent.invoke', target, data: { input } })
const call = (name: string, input: unknown) => [{ id: `call-${name}`, tool: name, input }]

/** A model of this name that answers by the number of its request. The last answer repeats. */
const scripted = (name: string, ...answers: Parameters<typeof plainModel>[0][]) => {
  let count = 0
  const { model: plain, asked } = plainModel(prompt => answers[Math.min(count++, answers.length - 1)]!(prompt))
  return { model: model(plain, { name }), asked }
}

onAnyBus(world => {
  describe('a model agent', () => {
    it('calls other agents and workflows, and gets their answers and failures', async () => {
      const child = agent('child', {
        description: 'Answers questions.',
        model: scripted('child', prompt => `You asked: ${readIn(prompt)[0]}`).model,
        instructions: 'Answer.',
      })
      const failing = workflow('failing', { description: 'Fails.', input: z.object({}), within: '1d' }).fail(() => 'no')
      const { model: own, asked } = scripted(
        'boss',
        () => [...call('child', { input: 'Why?' }), ...call('failing', {})],
        () => 'Done.',
      )
      const boss = agent('boss', { model: own, instructions: 'Delegate.', tools: [child, failing] })
      const worker = await (await world()).worker({ use: [boss, child, failing] })
      expect((await ask(worker, invoke('boss', 'Hello'))).data).toMatchObject({ output: 'Done.' })
      const [answers] = asked[1]!.filter(({ role }) => role === 'tool')
      expect(answers!.content).toMatchObject([
        { toolName: 'child', output: { type: 'json', value: 'You asked: Why?' } },
        { toolName: 'failing', output: { type: 'error-json', value: { message: 'no' } } },
      ])
    })

    it('spends one budget together with the agents that it calls', async () => {
      const child = agent('child', {
        description: 'Searches without end.',
        model: scripted('child', () => call('search', { q: 'more' })).model,
        instructions: 'Search.',
        tools: [search],
      })
      const boss = agent('boss', {
        model: scripted('boss', () => call('child', { input: '?' })).model,
        instructions: '',
        tools: [child],
      })
      const worker = await (await world()).worker({ use: [boss, child, search], budget: { calls: 12 } })
      const done = await ask(worker, invoke('boss', '?'))
      expect(done.data).toMatchObject({ error: { code: 'E_BUDGET_EXCEEDED' } })
      const events = await eventsOf(worker, done.correlationid)
      const calls = typesOf(events).filter(type => type.endsWith('.invoke') && type !== 'agent.invoke')
      expect(calls.length).toBeLessThanOrEqual(12)
      expect(calls.length).toBeGreaterThan(8)
    })

    it('is guarded: messages and answers are checked, rewritten and refused by calls', async () => {
      const names = tool('names.hide', {
        description: 'Hides names.',
        input: z.object({ message: z.string() }),
        run: ({ message }) => ({ allow: !message.includes('password'), rewrite: message.replace('Ann', 'N.') }),
      })
      const calm = agent('calm', {
        run: (_ctx, { output }: { output: string }) => ({ allow: true, rewrite: output.toLowerCase() }),
      })
      const { model: own } = scripted('echo', prompt => readIn(prompt).join(' | ').toUpperCase())
      const echo = agent('echo', { model: own, instructions: 'Echo.', guard: { input: names, output: calm } })
      const log = await world()
      const worker = await log.worker({ use: [echo, names, calm] })
      const done = await ask(worker, invoke('echo', 'Ann asks'))
      expect(done.data).toMatchObject({ output: 'n. asks' })
      expect((await ask(worker, invoke('echo', 'my password'))).data).toMatchObject({
        error: { code: 'E_AGENT_REFUSED' },
      })
      expect(await lines(log.place, 'trace', done.correlationid)).toMatch(
        /tool names\.hide .*\[guard\](.*\n)*.*agent calm .*\[guard\]/,
      )
    })

    it('hands its conversation over: the other agent reads all of it, and answers', async () => {
      const { model: billingModel, asked } = scripted(
        'billing',
        () => call('search', { q: 'A-17' }),
        prompt => readIn(prompt).join(' | '),
      )
      const billing = agent('billing', {
        description: 'Knows invoices.',
        model: billingModel,
        instructions: 'Know invoices.',
        tools: [search],
      })
      const { model: own } = scripted(
        'desk',
        () => call('search', { q: 'desk' }),
        () => call('transfer_to_billing', {}),
      )
      const desk = agent('desk', { model: own, instructions: 'Hand over.', tools: [search, handover(billing)] })
      const worker = await (await world()).worker({ use: [desk, billing, search] })
      expect((await ask(worker, invoke('desk', 'My invoice?'))).data).toMatchObject({
        program: 'desk',
        output: 'My invoice? | "about desk" | "Now \\"billing\\" answers: that is you." | "about A-17"',
      })
      expect(asked[0]!.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'tool', 'assistant', 'tool'])
      expect(asked[0]![0]).toMatchObject({ content: 'Know invoices.' })
    })
  })
})
