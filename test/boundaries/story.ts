import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { agent, type Agent } from '../../src/agents/agent.ts'
import type { Bus } from '../../src/bus/bus.ts'
import { Pauses } from '../../src/bus/pauses.ts'
import { model } from '../../src/models/model.ts'
import { ModelStation } from '../../src/models/station.ts'
import { Engine } from '../../src/tasks/engine.ts'
import { ToolStation } from '../../src/tools/station.ts'
import { tool } from '../../src/tools/tool.ts'
import { plainModel } from '../lib/plain-model.ts'

/*
 * One task with all that a task can do: tools one after the other and side by side, a model agent below it with tools of its
 * own, an answer that lies in a blob, an event that starts another agent, a sleep, a tool that must not start twice, and one
 * that fails at first.
 */

const group = 'app/boundaries'
export const started = 'story.started'
/** How many tasks come of one story. */
export const tasks = 3

/** By hand: a library would cost each of many short processes a tenth of its life. */
const n = {
  '~standard': {
    version: 1 as const,
    vendor: 'boundaries',
    validate: (value: unknown) =>
      typeof (value as { n?: unknown } | null)?.n === 'number'
        ? { value: value as { n: number } }
        : { issues: [{ message: 'n is not a number' }] },
    jsonSchema: { input: () => ({ type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }) },
  },
}
const { model: languageModel } = plainModel(prompt =>
  prompt.some(({ role }) => role === 'tool') ? 'told' : [1, 2].map(n => ({ id: `c${n}`, tool: 'page', input: { n } })),
)

const add = tool('add', { description: 'Adds one.', input: n, run: ({ n }) => n + 1 })
const page = tool('page', { description: 'A long page.', input: n, run: ({ n }) => String(n).repeat(5_000 * n) })
const shaky = tool('shaky', {
  description: 'Fails at first.',
  input: n,
  attempts: 4,
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

/** What {@link story} says in the end; a worker that died while it charged leaves that open. */
export const endings = (n: number) =>
  [n, 'E_TOOL_OUTCOME_UNKNOWN'].map(charged => ({ sum: 2 * n + 5, told: 'told', charged, shaky: n }))

export const programs = [story, teller, listener].map(({ definition }: Agent<never, unknown>) => definition)

export interface HostOptions {
  bus: Bus
  /** Where effects are written down. */
  home: string
  /** Nothing stays in memory: each turn begins with the journal. */
  cold: boolean
  /** What comes again is taken again. */
  dropDedup?: boolean
}

/** Agents, tools and models in this process. */
export async function host({ bus, home, cold, dropDedup }: HostOptions): Promise<() => Promise<void>> {
  const pauses = new Pauses(bus)
  await pauses.start()
  await bus.driver.putDocument(teller.needs!.key, JSON.stringify(teller.needs!.document), 0)
  const stations = [
    new ToolStation({ bus, tools: [add, page, shaky, charge(home)], pauses }),
    new ModelStation({ bus, models: [model(languageModel)], pauses }),
    engineOf(bus, pauses, cold, dropDedup),
  ]
  for (const station of stations) await station.start()
  return async () => {
    pauses.stop()
    for (const station of stations.toReversed()) await station.stop()
  }
}

/** The engine; its group is there from the moment at which it is provisioned. */
export function engineOf(bus: Bus, pauses = new Pauses(bus), cold = false, dropDedup = false): Engine {
  return new Engine({
    bus,
    group,
    programs,
    maxHops: 8,
    budget: { calls: 1_000, tokens: Infinity, cost: Infinity },
    pauses,
    ...(cold && { hotTasks: 0 }),
    ...(dropDedup && { sift: () => 'take' as const }),
  })
}
