import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { TidingsError } from '../src/errors.ts'
import { event } from '../src/event.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import type { Turn } from '../src/tasks/program.ts'
import { collect, until } from '../src/testing/wait.ts'
import { by } from '../src/workflows/key.ts'
import { workflow } from '../src/workflows/workflow.ts'
import { onAnyBus } from './lib/world.ts'

/* An agent becomes a workflow, or the other way round, while an event with which it has begun is not settled. */

const placed = 'order.placed'
interface Placed {
  n: number
}
const forms = {
  agent: (version: number) =>
    agent('desk', {
      on: placed,
      version,
      async run(ctx) {
        await ctx.call({ kind: 'tool', name: 'hold' }, null)
      },
    }),
  workflow: (version: number) =>
    workflow('desk', { on: placed, version, within: '1h' }).call('held', { kind: 'tool', name: 'hold' }, () => null),
  keyed: (version: number) =>
    workflow('desk', {
      on: event(placed, z.object({ n: z.number() })),
      key: [by(placed, (order: { n: unknown }) => order.n)],
      version,
      within: '1h',
    }).call('held', { kind: 'tool', name: 'hold' }, () => null),
}
const auditing = agent('audit', {
  on: placed,
  init: () => null,
  evolve: () => null,
  decide: (_state, _inputs, ctx) => ctx.complete(null),
})
/** Takes the same event, and does not let it be settled: the runtime cannot bring the task about. */
const refusing = (error: Error): typeof auditing => ({
  ...auditing,
  definition: {
    ...auditing.definition,
    machine() {
      throw error
    },
  },
})
const again = new TidingsError('E_LOG_UNAVAILABLE', 'not now', { retryable: true })
const never = new Error('it is broken')

/** The programs that began, one for each task. */
async function startedPrograms({ bus }: RunningApp) {
  const turns = await collect(bus.read({ filter: [{ types: ['task.turn'] }] }))
  const first = turns.map(({ event }) => event.data as Turn).filter(({ version }) => version === 1)
  return first.map(({ program, programVersion }) => `${program} ${programVersion}`)
}

const attention = ({ bus }: RunningApp) => collect(bus.driver.listDeferred())

onAnyBus(world => {
  it.for([
    ['agent', 'workflow', again],
    ['agent', 'keyed', again],
    ['agent', 'workflow', never],
    ['agent', 'keyed', never],
    ['workflow', 'agent', again],
    ['workflow', 'keyed', again],
  ] as const)('does not begin once more with what it has begun with: from %s to %s, %s', async ([from, to, error]) => {
    const log = await world()
    const old = await log.worker({ use: [forms[from](1), refusing(error)] })
    await old.bus.publish<Placed>({ type: placed, data: { n: 1 } })
    await until(async () => (await startedPrograms(old)).includes('desk 1') && (await attention(old)).length === 1)
    await old.stop()
    const newer = await log.worker({ use: [forms[to](2), auditing] })
    for (const { id, state } of await attention(newer)) if (state === 'parked') await newer.bus.driver.redeliver({ id })
    await until(async () => (await startedPrograms(newer)).includes('audit 1') && (await attention(newer)).length === 0)
    await newer.bus.publish<Placed>({ type: placed, data: { n: 2 } })
    await until(async () => (await startedPrograms(newer)).filter(each => each === 'audit 1').length === 2)
    await until(async () => (await newer.bus.driver.listGroups()).every(({ lag }) => lag === 0))
    expect((await startedPrograms(newer)).toSorted()).toEqual(['audit 1', 'audit 1', 'desk 1', 'desk 2'])
  })
})
