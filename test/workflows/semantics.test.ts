import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { absent, all, any, count, is, on, seq, tool, workflow, type Workflow } from '../../src/index.ts'
import type { EventPattern } from '../../src/workflows/patterns.ts'
import { Story } from '../lib/workflows.ts'
import { onAnyBus, type World } from '../lib/world.ts'

/* The rows of docs/workflows.md, each on a log. */

const work = tool('work', { description: '', input: z.any(), run: () => 1 })
const other = tool('other', { description: '', input: z.any(), run: () => 1 })
const short = '150ms'

type Flow = Workflow<any, never, unknown>
interface Tale {
  /** Begins an instance of the flow. `early`: what comes before it begins, as `[type, data]`. */
  begin(flow: Flow, ...early: readonly [string, unknown][]): Promise<Story>
  /** Begins one that waits for the pattern; its end says what was captured. */
  waitFor(pattern: EventPattern): Promise<Story>
  /** The same, which does not wait long. */
  waitInVain(pattern: EventPattern, ...early: readonly [string, unknown][]): Promise<Story>
}

const flowOf = (name = 'flow') => workflow(name, { on: 'begin', within: '1h' }) as Flow
const two = (options: object = {}) =>
  flowOf().parallel('both', { a: work, b: other }, () => ({ a: 'x', b: 'y' }), options) as Flow
const waiting = (pattern: EventPattern, within: '1h' | typeof short) =>
  flowOf()
    .when('step', pattern, { within, otherwise: b => b.complete(s => s) })
    .complete(s => s)

/** What it kept, and why it did something else. */
async function kept(story: Story): Promise<unknown> {
  const { event: _, error, ...names } = (await story.end()) as { event: unknown; error?: { code: string } }
  return { ...names, ...(error && { why: error.code }) }
}

const rows: Record<string, (tale: Tale) => Promise<void>> = {
  async 'on: the same event again is one'({ begin }) {
    const story = await begin(
      flowOf()
        .when('first', on('a').as('a'), { within: '1h' })
        .when('second', on('a').as('b'), { within: '1h' })
        .complete(s => s),
    )
    const first = await story.tell('a', 1)
    await story.again(first)
    expect(await story.isOver()).toBe(false)
    await story.tell('a', 2)
    expect(await kept(story)).toEqual({ a: 1, b: 2 })
    expect(await story.late()).toEqual([])
  },
  async 'on: what no step waits for any more is late, also after the end'({ begin }) {
    const story = await begin(
      flowOf()
        .when('first', on('a').as('a'), { within: '1h' })
        .when('second', on('b').as('b'), { within: '1h' })
        .complete(s => s),
    )
    await story.tell('a', 1)
    const second = await story.tell('a', 2)
    await story.tell('b', 3)
    const third = await story.tell('b', 4)
    expect(await kept(story)).toEqual({ a: 1, b: 3 })
    expect(await story.late()).toEqual([second, third])
  },
  async 'on: what comes before its step is kept for it'({ begin }) {
    const story = await begin(
      flowOf()
        .when('first', on('a').as('a'), { within: '1h' })
        .when('second', on('b').as('b'), { within: '1h' })
        .complete(s => s),
    )
    await story.tell('b', 2)
    await story.tell('a', 1)
    expect(await kept(story)).toEqual({ a: 1, b: 2 })
  },
  async 'on: what does not come in time fails the step'({ waitInVain }) {
    expect(await kept(await waitInVain(on('a').as('a')))).toEqual({ why: 'E_WORKFLOW_EXPIRED' })
  },
  async 'on: what does not fit is late, and another that fits is taken'({ waitFor }) {
    const story = await waitFor(on('a').where(it => is(it.n, 2)).as('a')) // biome-ignore format: one pattern
    const other = await story.tell('a', { n: 1 })
    await story.tell('a', { n: 2 })
    expect(await kept(story)).toEqual({ a: { n: 2 } })
    expect(await story.late()).toEqual([other])
  },

  async 'seq: the same event again is not the next one'({ waitFor }) {
    const story = await waitFor(seq(on('a').as('a'), on('a').as('b')))
    await story.again(await story.tell('a', 1))
    expect(await story.isOver()).toBe(false)
    await story.tell('a', 2)
    expect(await kept(story)).toEqual({ a: 1, b: 2 })
  },
  async 'seq: what comes for a place that is taken is late'({ waitFor }) {
    const story = await waitFor(seq(on('a').as('a'), on('b').as('b')))
    await story.tell('a', 1)
    const second = await story.tell('a', 2)
    await story.tell('b', 3)
    expect(await kept(story)).toEqual({ a: 1, b: 3 })
    expect(await story.late()).toEqual([second])
  },
  async 'seq: what comes before its turn is kept until then'({ waitFor }) {
    const story = await waitFor(seq(on('a').as('a'), on('b').as('b'), on('c').as('c')))
    await story.tell('c', 3)
    await story.tell('b', 2)
    expect(await story.isOver()).toBe(false)
    await story.tell('a', 1)
    expect(await kept(story)).toEqual({ a: 1, b: 2, c: 3 })
  },
  async 'seq: without the last one the step fails, and its otherwise sees what had come'({ waitInVain }) {
    const story = await waitInVain(seq(on('a').as('a'), on('b').as('b')), ['a', 1])
    expect(await kept(story)).toEqual({ a: 1, why: 'E_WORKFLOW_EXPIRED' })
  },

  async 'all: the same event again takes no second place'({ waitFor }) {
    const story = await waitFor(all(on('a').as('a'), on('a').as('b')))
    await story.again(await story.tell('a', 1))
    expect(await story.isOver()).toBe(false)
    await story.tell('a', 2)
    expect(await kept(story)).toEqual({ a: 1, b: 2 })
  },
  async 'all: what comes for a place that is taken is late'({ waitFor }) {
    const story = await waitFor(all(on('a').as('a'), on('b').as('b')))
    await story.tell('b', 1)
    const second = await story.tell('b', 2)
    await story.tell('a', 3)
    expect(await kept(story)).toEqual({ a: 3, b: 1 })
    expect(await story.late()).toEqual([second])
  },
  async 'all: any order gives the same'({ waitFor }) {
    const story = await waitFor(all(on('a').as('a'), seq(on('b').as('b'), on('c').as('c'))))
    for (const [type, n] of [['c', 3], ['a', 1], ['b', 2]] as const) await story.tell(type, n) // biome-ignore format: one line
    expect(await kept(story)).toEqual({ a: 1, b: 2, c: 3 })
  },
  async 'all: without one of them the step fails, and its otherwise sees what had come'({ waitInVain }) {
    const story = await waitInVain(all(on('a').as('a'), on('b').as('b')), ['b', 2])
    expect(await kept(story)).toEqual({ b: 2, why: 'E_WORKFLOW_EXPIRED' })
  },

  async 'any: the same event again changes nothing'({ begin }) {
    const story = await begin(
      flowOf()
        .when('first', any(on('a').as('a'), on('b').as('b')), { within: '1h' })
        .when('second', any(on('a').as('c'), on('b').as('c')), { within: '1h' })
        .complete(s => s),
    )
    await story.again(await story.tell('b', 1))
    expect(await story.isOver()).toBe(false)
    await story.tell('a', 2)
    expect(await kept(story)).toEqual({ b: 1, c: 2 })
  },
  async 'any: what comes for the others is late, also while what it is part of is open'({ waitFor }) {
    const story = await waitFor(all(any(on('a').as('a'), on('b').as('b')), on('c').as('c')))
    await story.tell('b', 1)
    const other = await story.tell('a', 2)
    await story.tell('c', 3)
    expect(await kept(story)).toEqual({ b: 1, c: 3 })
    expect(await story.late()).toEqual([other])
  },
  async 'any: the one that is delivered first wins'({ waitFor }) {
    const story = await waitFor(any(all(on('a').as('a'), on('b').as('b')), on('c').as('c')))
    await story.tell('a', 1)
    await story.tell('c', 2)
    expect(await kept(story)).toEqual({ c: 2 })
  },
  async 'any: without any of them the step fails'({ waitInVain }) {
    expect(await kept(await waitInVain(any(on('a'), on('b'))))).toEqual({ why: 'E_WORKFLOW_EXPIRED' })
  },

  async 'count: the same event again is counted once'({ waitFor }) {
    const story = await waitFor(count(2, on('a').as('a')))
    await story.again(await story.tell('a', 1, '1'))
    expect(await story.isOver()).toBe(false)
    await story.tell('a', 2, '2')
    expect(await kept(story)).toEqual({ a: [1, 2] })
  },
  async 'count: one more is late'({ waitFor }) {
    const story = await waitFor(all(count(2, on('a').as('a')), on('b')))
    await story.tell('a', 1, '1')
    await story.tell('a', 2, '2')
    await story.tell('a', 3, '3')
    await story.tell('b')
    expect(await kept(story)).toEqual({ a: [1, 2] })
    expect(await story.late()).toEqual(['3'])
  },
  async 'count: any order gives the list in the order of the ids'({ waitFor }) {
    const story = await waitFor(count(3, on('a').as('a')))
    for (const id of ['7', '9', '8']) await story.tell('a', Number(id), id)
    expect(await kept(story)).toEqual({ a: [7, 8, 9] })
  },
  async 'count: with too few the step fails, and its otherwise sees what had come'({ waitInVain }) {
    const story = await waitInVain(count(2, on('a').as('a')), ['a', 1])
    expect(await kept(story)).toEqual({ a: [1], why: 'E_WORKFLOW_EXPIRED' })
  },

  async 'absent: the same event again fails it once'({ begin }) {
    const story = await begin(
      flowOf()
        .when('quiet', absent(on('a'), '1h'), { within: '2h', otherwise: b => b.emit('alarm', s => s.error.code) })
        .when('calm', on('a').as('a'), { within: '1h' })
        .complete(s => s),
    )
    await story.again(await story.tell('a', 1))
    expect(await story.isOver()).toBe(false)
    await story.tell('a', 2)
    expect(await kept(story)).toEqual({ a: 2, why: 'E_WORKFLOW_UNMATCHED' })
    expect((await story.asked('alarm')).map(({ data }) => data)).toEqual(['E_WORKFLOW_UNMATCHED'])
  },
  async 'absent: what comes when it holds is late, and does not undo it'({ waitFor }) {
    const story = await waitFor(all(absent(on('a'), short), on('b').as('b')))
    await story.asked('timer.fired')
    const late = await story.tell('a', 1)
    await story.tell('b', 2)
    expect(await kept(story)).toEqual({ b: 2 })
    expect(await story.late()).toEqual([late])
  },
  async 'absent: what came before its turn counts as having come'({ waitFor }) {
    const story = await waitFor(seq(on('b').as('b'), absent(on('a').as('a'), '1h')))
    await story.tell('a', 1)
    expect(await story.isOver()).toBe(false)
    await story.tell('b', 2)
    expect(await kept(story)).toEqual({ b: 2, why: 'E_WORKFLOW_UNMATCHED' })
  },
  async 'absent: holds when nothing has come for its time, counted from its turn'({ waitFor }) {
    const story = await waitFor(seq(absent(on('a'), short), absent(on('a'), short)))
    expect(await kept(story)).toEqual({})
    expect((await story.asked('timer.fired')).length).toBe(2)
  },

  async 'each: an answer that comes again is one'({ begin }) {
    const story = await begin(flowOf().each('a', () => [1, 2], work).complete(s => s)) // biome-ignore format: one flow
    const [first, second] = await story.asked('tool.invoke', 2)
    await story.answer(first!, 'one')
    await story.answer(first!, 'one more')
    await story.answer(first!, 'and one more', crypto.randomUUID())
    await story.answer(second!, 'two')
    expect(await kept(story)).toEqual({ a: ['one', 'two'] })
  },
  async 'each: what is answered behind a quorum was taken back, and changes nothing'({ begin }) {
    const story = await begin(
      flowOf()
        .each('a', () => [1, 2, 3], work, { join: { quorum: 2 } })
        .when('b', on('b').as('b'), { within: '1h' })
        .complete(s => s),
    )
    const [first, second, third] = await story.asked('tool.invoke', 3)
    await story.answer(third!, 'three')
    await story.answer(first!, 'one')
    const [cancelled] = await story.asked('call.cancelled')
    expect(cancelled!.subject).toBe(second!.id)
    await story.answer(second!, 'two')
    await story.tell('b', 1)
    expect(await kept(story)).toEqual({ a: ['one', 'three'], b: 1 })
  },
  async 'each: any order of the answers gives the order of the items'({ begin }) {
    const story = await begin(flowOf().each('a', () => ['x', 'y', 'z'], work).complete(s => s)) // biome-ignore format: one flow
    for (const call of (await story.asked('tool.invoke', 3)).toReversed())
      await story.answer(call, `${(call.data as { input: string }).input}!`)
    expect(await kept(story)).toEqual({ a: ['x!', 'y!', 'z!'] })
  },
  async 'each: an answer that does not come in time is a failure'({ begin }) {
    const story = await begin(
      flowOf()
        .each('a', () => [1, 2], work, { join: 'settled', within: short })
        .each('b', () => [1], work, {
          within: short,
          otherwise: b => b.complete(s => [s.a[1].error.code, s.error.code]),
        }),
    )
    const [first] = await story.asked('tool.invoke', 2)
    await story.answer(first!, 'one')
    expect(await story.end()).toEqual(['E_CALL_EXPIRED', 'E_CALL_EXPIRED'])
  },

  async 'parallel: an answer that comes again is one'({ begin }) {
    const story = await begin(two().complete(s => s))
    const [first, second] = await story.asked('tool.invoke', 2)
    await story.answer(first!, 'one')
    await story.answer(first!, 'one more')
    await story.answer(second!, 'two')
    expect(await kept(story)).toEqual({ a: 'one', b: 'two' })
  },
  async 'parallel: what is answered behind a failure was taken back, and changes nothing'({ begin }) {
    const story = await begin(
      two({ otherwise: (b: Flow) => b.when('c', on('c').as('c'), { within: '1h' }) }).complete(s => s),
    )
    const [first, second] = await story.asked('tool.invoke', 2)
    await story.refuse(second!)
    const [cancelled] = await story.asked('call.cancelled')
    expect(cancelled!.subject).toBe(first!.id)
    await story.answer(first!, 'one')
    await story.tell('c', 1)
    expect(await kept(story)).toEqual({ c: 1, why: 'E_TOOL_THREW' })
  },
  async 'parallel: any order of the answers gives the same'({ begin }) {
    const story = await begin(two().complete(s => s))
    for (const call of (await story.asked('tool.invoke', 2)).toReversed())
      await story.answer(call, `${(call.data as { input: string }).input}!`)
    expect(await kept(story)).toEqual({ a: 'x!', b: 'y!' })
  },
  async 'parallel: an answer that does not come in time fails the step'({ begin }) {
    const story = await begin(two({ within: short, otherwise: (b: Flow) => b.complete(s => s.error.code) }))
    const [first] = await story.asked('tool.invoke', 2)
    await story.answer(first!, 'one')
    expect(await story.end()).toBe('E_CALL_EXPIRED')
  },
}

async function tale(world: () => Promise<World>): Promise<Tale> {
  const log = await world()
  const begin: Tale['begin'] = async (flow, ...early) => {
    const story = new Story(await log.worker({ use: [flow] }, { only: ['agents'] }), flow.name)
    for (const [type, data] of early) await story.tell(type, data)
    await story.tell('begin')
    return story
  }
  return {
    begin,
    waitFor: pattern => begin(waiting(pattern, '1h')),
    waitInVain: (pattern, ...early) => begin(waiting(pattern, short), ...early),
  }
}

onAnyBus(world => it.each(Object.keys(rows))('%s', async name => rows[name]!(await tale(world))))

it('docs/workflows.md has a row for each of them, and each of its rows is one of them', () => {
  const doc = readFileSync(join(import.meta.dirname, '../../docs/workflows.md'), 'utf8')
  const named = [...doc.matchAll(/^\|.*\| `((?:on|seq|all|any|count|absent|each|parallel): [^`|]+)` \|$/gm)].map(
    ([, name]) => name,
  )
  expect(new Set(named)).toEqual(new Set(Object.keys(rows)))
  expect(named.length).toBe(Object.keys(rows).length)
})
