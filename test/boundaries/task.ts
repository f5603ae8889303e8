import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { agent } from '../../src/agents/agent.ts'
import { model } from '../../src/models/model.ts'
import { tool } from '../../src/tools/tool.ts'
import { chargesIn, repeated } from '../kills/verify.ts'
import { plainModel } from '../lib/plain-model.ts'
import { numbered, type Story } from './story.ts'

/*
 * One task that does everything a task can do: tools one after another and in parallel, a model agent with tools of its own, an
 * answer that is stored as a blob, an event that starts another agent, a sleep, a tool that must not start twice, and one that
 * fails at first.
 */

const started = 'story.started'
const n = numbered<{ n: number }>()
const { model: languageModel } = plainModel(prompt =>
  prompt.some(({ role }) => role === 'tool') ? 'told' : [1, 2].map(n => ({ id: `c${n}`, tool: 'page', input: { n } })),
)

const add = tool('add', { description: 'Adds one.', input: n, run: ({ n }) => n + 1 })
const page = tool('page', { description: 'A long page.', input: n, run: ({ n }) => String(n).repeat(5_000 * n) })
const shaky = tool('shaky', {
  description: 'Fails at first.',
  input: n,
  retry: { maxAttempts: 4 },
  run({ n }, { attempt }) {
    if (attempt === 1) throw new Error('not yet')
    return n
  },
})
const charge = (home: string) =>
  tool('charge', {
    description: 'Has an effect that must not happen twice.',
    input: n,
    atMostOnce: true,
    run: ({ n }, { idempotencyKey }) => {
      appendFileSync(join(home, 'charges'), `${idempotencyKey}\n`)
      return n
    },
  })

const teller = agent('teller', { model: languageModel, instructions: 'Read two pages.', tools: [page] })

const listener = agent('listener', {
  on: 'story.noted',
  init: () => ({ heard: 0 }),
  evolve: (state, { type }) => (type === 'story.noted' ? { heard: state.heard + 1 } : state),
  decide: ({ heard }, _inputs, ctx) => ctx.complete(heard),
})

const story = agent('story', {
  on: started,
  async run(ctx, { n }: { n: number }) {
    const one = await ctx.call(add, { n })
    const [a, b] = await ctx.all([at => at.call(add, { n: one }), at => at.call(add, { n: one + 1 })])
    const told = await ctx.call(teller, 'Tell it.')
    ctx.emit({ type: 'story.noted', data: { told } })
    await ctx.sleep(10)
    const charged = await ctx.call({ kind: 'tool', name: 'charge' }, { n }).catch(error => error.code)
    return { sum: Number(a) + Number(b), told, charged, shaky: await ctx.call(shaky, { n }) }
  },
})

/** The outputs that {@link story} may have; a worker that died while it charged leaves the charge open. */
const endings = (n: number) =>
  [n, 'E_TOOL_OUTCOME_UNKNOWN'].map(charged => JSON.stringify({ sum: 2 * n + 5, told: 'told', charged, shaky: n }))

export const task: Story = {
  starts: n => [{ type: started, data: { n } }],
  ends: ['listener completed', 'story completed', 'teller completed'],
  agents: [story, teller, listener],
  models: [model(languageModel)],
  tools: home => [add, page, shaky, charge(home)],
  checks({ n, home, events }) {
    const end = [...events.values()].find(
      ({ type, source }) => type === 'agent.task.completed' && source === '/agents/story',
    )
    const output = JSON.stringify((end?.data as { output?: unknown } | undefined)?.output) ?? ''
    const charges = chargesIn(home)
    return [
      ['the story did not end with an expected output', endings(n).includes(output), output],
      ['an atMostOnce tool did not start exactly once', isOnce(charges, output), charges],
    ]
  },
}

/** A worker that died between the claim and the start never started it. */
const isOnce = (charges: readonly string[], output: string) =>
  repeated(charges).length === 0 && (charges.length === 1 || output.includes('E_TOOL_OUTCOME_UNKNOWN'))
