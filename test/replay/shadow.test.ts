import { readFile } from 'node:fs/promises'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { agent, type Agent } from '../../src/agents/agent.ts'
import { resultId, taskId } from '../../src/bus/ids.ts'
import { createEvent, type CloudEvent } from '../../src/event.ts'
import { Programs } from '../../src/tasks/programs.ts'
import { Task } from '../../src/tasks/task.ts'
import { TurnBuilder, type OpenCall } from '../../src/tasks/turn.ts'
import { AcceptedDivergences } from '../../src/replay/accept.ts'
import { junit } from '../../src/replay/junit.ts'
import { Replayer, type ReplayOutcome } from '../../src/replay/replayer.ts'
import { reportRecords, renderReport } from '../../src/replay/report.ts'

const correlationid = '01900000-0000-7000-8000-000000000001'
const ask = (target: string, input: unknown) => ({ type: 'tool.invoke', target, data: { input } })

type Answer = (call: OpenCall) => unknown

/** What the log has of a task that ran with this code, each call answered in a turn of its own. */
async function record({ definition }: Agent, answer: Answer = () => 'fine'): Promise<CloudEvent[]> {
  const start = createEvent({ id: 'start', type: 'order.placed', correlationid, data: { total: 12 } })
  const task = new Task({ definition, task: taskId(correlationid, definition.name, start.id), start })
  const events: CloudEvent[] = []
  for (let input: CloudEvent | undefined = start; input; ) {
    const builder = new TurnBuilder({
      identity: task.identity,
      version: task.head + 1,
      inputs: [input],
      now: Date.UTC(2026, 0, 1) + task.head,
    })
    await task.decide([input], builder)
    task.machine.accepted(builder.events)
    const turn = builder.build([input], null, task.machine.snapshot())
    task.advance(turn.data, 0)
    events.push(JSON.parse(JSON.stringify(turn)) as CloudEvent, ...builder.events)
    const [call] = task.open.values()
    input = task.end || !call ? undefined : answerTo(call, answer(call))
  }
  return events
}

const answerTo = (call: OpenCall, output: unknown) =>
  createEvent({
    id: resultId(call.id),
    type: call.type === 'timer.set' ? 'timer.fired' : 'tool.result',
    call: call.id,
    correlationid,
    data: { output },
  })

async function replayed(events: readonly CloudEvent[], ...agents: Agent[]): Promise<ReplayOutcome> {
  const replay = new Replayer(new Programs(agents.map(({ definition }) => definition)))
  for (const [i, event] of events.entries()) await replay.add({ partition: 0, offset: i + 1 }, event)
  return replay.finish()
}

const seen = ({ divergences }: ReplayOutcome) => divergences.map(({ turn, kind, what }) => `${turn} ${kind} ${what}`)

/** The line of this file that ends like this, as reports name it. */
async function lineOf(end: string) {
  const lines = (await readFile(import.meta.filename, 'utf8')).split('\n')
  return expect.stringContaining(`shadow.test.ts:${lines.findIndex(line => line.endsWith(end)) + 1}:`) as string
}

interface State {
  answers: number
}

/** A program that asks three times, and changes what is told it. */
function counter({ input = (n: number): unknown => n, extra = false, fold = 1, last = 3, throws = false } = {}) {
  return agent<State>('counter', {
    on: 'order.placed',
    init: () => ({ answers: 0 }),
    evolve: (state, { type }) => (type === 'tool.result' ? { answers: state.answers + fold } : state),
    decide({ answers }, inputs, ctx) {
      if (throws && inputs[0]!.type === 'tool.result') throw new Error(`no answer ${answers}`)
      if (extra) ctx.emit({ type: 'order.noted', data: answers })
      if (answers >= last) return ctx.complete(answers)
      ctx.call(ask('sum', input(answers)))
    },
  })
}

describe('a program', () => {
  const recorded = record(counter())

  test('agrees with itself, in every turn', async () => {
    expect(await replayed(await recorded, counter())).toEqual({
      tasks: 1,
      turns: 4,
      diverged: 0,
      divergences: [],
      skipped: [],
    })
  })

  test('that emits a differently written value differs in every such turn, not only in the first', async () => {
    const outcome = await replayed(await recorded, counter({ input: n => (n === 0 ? 0 : -n) }))
    expect(seen(outcome)).toEqual(['2 changed tool.invoke sum', '3 changed tool.invoke sum'])
    expect(outcome.divergences[0]!.changes).toEqual([{ path: ['data', 'input'], before: 1, after: -1 }])
    expect(outcome.diverged).toBe(2)
  })

  test('that emits more, or less, or ends early', async () => {
    expect(seen(await replayed(await recorded, counter({ extra: true })))).toEqual(
      [1, 2, 3, 4].map(turn => `${turn} added order.noted`),
    )
    expect(seen(await replayed(await record(counter({ extra: true })), counter()))).toEqual(
      [1, 2, 3, 4].map(turn => `${turn} removed order.noted`),
    )
    expect(seen(await replayed(await recorded, counter({ last: 2 })))).toEqual([
      '3 removed tool.invoke sum',
      '3 added agent.task.completed',
    ])
  })

  test('that folds differently: its state is reported once, where it first differs', async () => {
    const outcome = await replayed(await recorded, counter({ fold: 2, input: () => 0 }))
    expect(seen(outcome).filter(line => line.includes('state'))).toEqual(['2 state state'])
    const { changes } = outcome.divergences.find(({ kind }) => kind === 'state')!
    expect(changes).toEqual([{ path: ['answers'], before: 1, after: 2 }])
  })

  test('that throws', async () => {
    const outcome = await replayed(await recorded, counter({ throws: true }))
    expect(seen(outcome)).toEqual([2, 3, 4].map(turn => `${turn} threw the program`))
    expect(new Set(outcome.divergences.map(({ signature }) => signature)).size).toBe(1)
  })

  test('whose init throws is one divergence, and no reason to stop', async () => {
    const broken = agent<State>('counter', {
      on: 'order.placed',
      init: () => {
        throw new Error('no beginning') // init
      },
      evolve: state => state,
      decide: () => {},
    })
    const other = agent('other', { on: 'order.placed', run: () => 'done' })
    const events = [...(await recorded), ...(await record(other))]
    const outcome = await replayed(events, broken, other)
    expect(seen(outcome)).toEqual(['1 threw the program'])
    expect(outcome.divergences[0]).toMatchObject({ error: 'no beginning', sourceLocation: await lineOf('// init') })
    expect(outcome).toMatchObject({ tasks: 2, turns: 2, skipped: [] })
  })

  test('whose evolve throws on what was recorded', async () => {
    const outcome = await replayed(
      await recorded,
      agent<State>('counter', {
        on: 'order.placed',
        init: () => ({ answers: 0 }),
        evolve(state, { type }) {
          if (type === 'tool.invoke') throw new Error('unknown')
          return state
        },
        decide: (_state, _inputs, ctx) => ctx.call(ask('sum', 0)),
      }),
    )
    expect(outcome.divergences).toMatchObject([{ turn: 1, kind: 'threw', error: 'unknown' }])
  })

  test('that emits the same in another order', async () => {
    const both = (order: string[]) =>
      agent('pair', {
        on: 'order.placed',
        init: () => 0,
        evolve: state => state,
        decide: (_state, _inputs, ctx) => order.forEach(name => ctx.emit({ type: `order.${name}`, data: null })),
      })
    expect(seen(await replayed(await record(both(['a', 'b', 'c'])), both(['c', 'a', 'b'])))).toEqual([
      '1 reordered order.c',
    ])
  })

  test('whose large state differs is reported by its digest', async () => {
    const large = (text: string) =>
      agent('large', {
        on: 'order.placed',
        init: () => text.repeat(2_000),
        evolve: state => state,
        decide: (_state, _inputs, ctx) => ctx.complete('done'),
      })
    const events = await record(large('a'))
    expect(await replayed(events, large('a'))).toMatchObject({ diverged: 0 })
    expect(seen(await replayed(events, large('b')))).toEqual(['1 state state'])
  })

  test('in another order of arrival, events before their turns, agrees too', async () => {
    expect(await replayed((await recorded).toReversed(), counter())).toMatchObject({ turns: 4, diverged: 0 })
  })
})

describe('straight-line code', () => {
  const buyer = (second: string, more = false) =>
    agent('buyer', {
      on: 'order.placed',
      async run(ctx) {
        const first = await ctx.call({ kind: 'tool', name: 'price' }, 1)
        await ctx.sleep('1m')
        const [a] = await ctx.all([
          branch => branch.call({ kind: 'tool', name: second }, first),
          branch => branch.call({ kind: 'tool', name: 'stock' }, more ? 2 : 1),
        ])
        return a
      },
    })

  test('agrees with itself', async () => {
    expect(await replayed(await record(buyer('pay')), buyer('pay'))).toMatchObject({ turns: 5, diverged: 0 })
  })

  test('is followed up to its first divergence', async () => {
    const outcome = await replayed(await record(buyer('pay')), buyer('bill', true))
    expect(seen(outcome)).toEqual(['3 changed tool.invoke pay', '3 changed tool.invoke stock'])
    expect(outcome.turns).toBe(3)
  })

  test('that throws is reported with its line', async () => {
    const throwing = agent('buyer', {
      on: 'order.placed',
      async run(ctx) {
        await ctx.call({ kind: 'tool', name: 'price' }, 1)
        throw new Error('too dear') // run
      },
    })
    const outcome = await replayed(await record(buyer('pay')), throwing)
    expect(seen(outcome)).toEqual(['2 threw the program'])
    expect(outcome.divergences[0]).toMatchObject({ error: 'too dear', sourceLocation: await lineOf('// run') })
    expect(await replayed(await record(throwing), throwing)).toMatchObject({ turns: 2, diverged: 0 })
  })

  test('that awaits what it may not', async () => {
    const impatient = agent('buyer', {
      on: 'order.placed',
      run: async () => new Promise<void>(resolve => setTimeout(resolve, 1)),
    })
    const outcome = await replayed(await record(buyer('pay')), impatient)
    expect(outcome.divergences[0]!.error).toContain('ctx')
  })
})

test('tasks that cannot be replayed are reported: no such program, a newer version, a missing beginning', async () => {
  const events = await record(counter())
  const [other] = [agent('other', { run: () => 1 })]
  expect((await replayed(events, other)).skipped[0]!.why).toContain('E_PROGRAM_MISMATCH')
  const newer = { ...counter().definition, version: 2 }
  expect((await replayed(await record({ ...counter(), definition: newer }), counter())).skipped[0]!.why).toContain(
    'E_PROGRAM_VERSION',
  )
  expect((await replayed(events.slice(2), counter())).skipped).toEqual([
    { task: taskId(correlationid, 'counter', 'start'), why: 'turn 1, or an event that it emitted, is missing' },
  ])
})

test('the report names the line, both versions, and where the values differ', async () => {
  const outcome = await replayed(await record(counter()), counter({ input: () => 'a "quoted" & <odd> text' }))
  const accepted = { accepted: new AcceptedDivergences([]) }
  const text = [...renderReport(outcome, accepted, 100)].map(stripVTControlCharacters).join('\n')
  expect(text).toContain('✖ counter: tool.invoke sum changed at data.input  3 ×')
  expect(text).toContain('+ "a \\"quoted\\" & <odd> text"')
  expect(text).toContain('✖ 1 task, 4 turns replayed: 3 turns in 1 task decide differently (1 kind)')
  const xml = junit(outcome, accepted)
  expect(xml).toContain('failures="1"')
  expect(xml).toContain('&amp; &lt;odd&gt; text')
  const { signature } = outcome.divergences[0]!
  const entry = { signature, what: '', until: '2999-01-01', values: { 'data.input': [{ any: true as const }] } }
  const meant = { accepted: new AcceptedDivergences([entry]) }
  expect([...renderReport(outcome, meant, 100)].map(stripVTControlCharacters)[0]).toContain('accepted 3 × counter')
  expect(junit(outcome, meant)).toContain('failures="0"')
  expect([...reportRecords(outcome, meant)].at(-1)).toEqual({
    record: 'total',
    verdict: 'same',
    tasks: 1,
    turns: 4,
    diverged: 3,
    divergences: 3,
    skipped: 0,
  })
})
