import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import type { AnyWorkflow } from '../../src/runtime/app.ts'
import { approval } from '../../src/tasks/approval.ts'
import { CallError } from '../../src/tasks/script.ts'
import { tool } from '../../src/tools/tool.ts'
import { absent, all, any, on } from '../../src/workflows/patterns.ts'
import { exists } from '../../src/workflows/refs.ts'
import { by } from '../../src/workflows/key.ts'
import { workflow } from '../../src/workflows/workflow.ts'

/* What the workers of a crash loop host: each kind of thing that a task may wait for. */

const add = tool('add', {
  description: 'Adds one.',
  input: z.object({ n: z.number() }),
  run: async ({ n }) => {
    await setTimeout(n % 50)
    return n + 1
  },
})

const bulkChars = 7_000
export const fanOutCalls = 900
const bulk = tool('bulk', {
  description: 'Answers much.',
  input: z.object({ i: z.number() }),
  run: async ({ i }) => {
    await setTimeout(i % 100)
    return String(i % 10).repeat(bulkChars)
  },
})

const charge = tool('charge', {
  description: 'Must not start twice.',
  input: z.object({ n: z.number() }),
  atMostOnce: true,
  run: ({ n }) => n,
})

const refund = tool('refund', {
  description: 'A person says whether it runs.',
  input: z.object({ n: z.number(), say: z.string() }),
  approval: true,
  approvers: ['ann'],
  run: ({ n }) => n,
})

const code = (error: unknown) => (error instanceof CallError ? error.code : 'no CallError')

/** Its first turn sets a wake-up, the next ones leave it as it is. */
const sleeper = agent('sleeper', {
  on: 'job.sleep',
  async run(ctx, { n, ms }: { n: number; ms: number }) {
    const [, a] = await ctx.all<number | void>([
      branch => branch.sleep(ms),
      async branch => branch.call(add, { n: await branch.call(add, { n }) }),
    ])
    await ctx.sleep(ms / 4)
    return { sum: await ctx.call(add, { n: Number(a) }) }
  },
})

/** Sleeps for an hour, unless it is cancelled. */
const idler = agent('idler', {
  on: 'job.idle',
  async run(ctx, { n }: { n: number }) {
    await ctx.all([branch => branch.call(add, { n }), branch => branch.call(add, { n: n + 1 })])
    await ctx.sleep('1h')
    return 'slept to the end'
  },
})

/** Waits for an idler: cancelled, it takes that one back. */
const parent = agent('parent', {
  on: 'job.parent',
  run: (ctx, { n }: { n: number }) => ctx.call(idler, { n }, { within: '1h' }),
})

const boss = approval<{ n: number; say: string }>('crash.boss', { approvers: ['ann'] })

const asker = agent('asker', {
  on: 'job.ask',
  async run(ctx, { n, say }: { n: number; say: string }) {
    const within = say === 'nothing' ? '3s' : '1h'
    const { approved } = await ctx
      .call(boss, { n, say }, { within })
      .catch(error => ({ approved: code(error) as unknown }))
    if (approved !== true) return { approved }
    const charged = await ctx.call(charge, { n }).catch(code)
    return { approved, charged }
  },
})

const refunder = agent('refunder', {
  on: 'job.refund',
  run: (ctx, { n, say }: { n: number; say: string }) => ctx.call(refund, { n, say }, { within: '1h' }).catch(code),
})

const fan = agent('fan', {
  on: 'job.fan',
  async run(ctx, { calls }: { calls: number }) {
    const answers = await ctx.all(
      Array.from({ length: calls }, (_, i) => branch => branch.call(bulk, { i }, { within: '1h' })),
    )
    return { chars: answers.reduce((sum, answer) => sum + String(answer).length, 0) }
  },
})

/** Goes on as itself, step by step. */
const chain = agent('chain', {
  on: 'job.chain',
  async run(ctx, { n, left }: { n: number; left: number }) {
    await ctx.sleep(50)
    const sum = await ctx.call(add, { n })
    if (left > 1) ctx.continueAs({ n: sum, left: left - 1 })
    return { sum }
  },
})

/** Long enough to be still under way whenever it is to end early. */
export const endless = 150

/** Waits for a chain, for as long as it is told. */
const caller = agent('caller', {
  on: 'job.call',
  async run(ctx, { n, left, within }: { n: number; left: number; within: '1s' | '1h' }) {
    const answer = await ctx.call(chain, { n, left }, { within }).catch(code)
    return { answer }
  },
})

/** Ends before the chain does. */
const racer = agent('racer', {
  on: 'job.race',
  run: (ctx, { n }: { n: number }) =>
    ctx.race<unknown>([
      branch => branch.call(chain, { n, left: endless }, { within: '1h' }),
      async branch => {
        await branch.sleep('1s')
        return 'first'
      },
    ]),
})

/** Two events, from two correlations, meet by their key. */
const meet = workflow('meet', {
  key: [by('meet.placed', e => e.order), by('meet.paid', e => e.order)],
  within: '1h',
})
  .when('both', all(on('meet.placed').as('placed'), on('meet.paid').as('paid')), { within: '1h' })
  .wait('30ms')
  .call('sum', add, s => ({ n: s.paid.n }), { within: '1h' })
  .complete(s => s.sum)

/** The second event does not come. */
const chase = workflow('chase', {
  key: [by('chase.placed', e => e.order), by('chase.paid', e => e.order)],
  within: '1h',
})
  .when('placed', on('chase.placed').as('order'), { within: '1h' })
  .when('payment', any(on('chase.paid').as('payment'), absent(on('chase.paid'), '2s')), { within: '1h' })
  .choose(
    s => exists(s.payment),
    paid => paid.complete(() => 'paid'),
  )
  .call('chased', add, s => ({ n: s.order.n }), { within: '1h' })
  .complete(s => s.chased)

/** Undoes what was done when it is cancelled. */
const trip = workflow('trip', { input: z.object({ n: z.number() }), within: '2h' })
  .call('booked', add, s => ({ n: s.event.n }), { within: '1h', undo: { target: add, input: s => ({ n: s.booked }) } })
  .wait('1h')
  .complete(() => 'slept to the end')

/** Spends until its budget is used up. */
const spender = agent('spender', {
  on: 'job.spend',
  async run(ctx, { n }: { n: number }) {
    for (let round = 0; round < 100; round++) {
      await ctx.all([0, 1, 2, 3, 4].map(i => branch => branch.call(add, { n: n + i }, { within: '1h' })))
      await ctx.sleep(200)
    }
    return 'never stopped'
  },
})

export const frugalCalls = 40

const workflows: AnyWorkflow[] = [meet, chase, trip]
const agents = [sleeper, idler, parent, asker, refunder, fan, chain, caller, racer]
export const tools = [add, bulk, charge, refund]

/** The apps of a worker: one with a budget that suffices, and one with a small one. */
export const apps = [
  { group: 'app/crashloop', calls: 10_000, programs: [...agents, ...workflows].map(({ definition }) => definition) },
  { group: 'app/frugal', calls: frugalCalls, programs: [spender.definition] },
]
