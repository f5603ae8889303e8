import { describe, expect, it } from 'vitest'
import { happened, InstanceRun, typesIn } from '../../test/lib/instance.ts'
import { absent, all, any, count, on, seq, type EventPattern } from './patterns.ts'
import { workflow } from './workflow.ts'

/* Patterns, without a log. test/workflows/semantics.test.ts shows them with one. */

/** An instance that begins with `begin`, then waits for the pattern. */
async function waitingFor(watch: EventPattern<any>) {
  const flow = workflow('flow', { on: 'begin', within: '10d' })
    .when('step', watch, { within: '9d' })
    .complete(s => s)
  const run = new InstanceRun(flow)
  await run.turn(happened('begin', 'b'))
  return run
}

/** Publishes these types one after the other, each with its own name as its data. */
async function tell(run: InstanceRun, ...types: string[]) {
  const emitted = []
  for (const type of types) emitted.push(...(await run.turn(happened(type, type))))
  return typesIn(emitted)
}

const scopeOf = ({ state }: InstanceRun) => {
  const { event: _, ...scope } = state.scope
  return scope
}

describe('seq', () => {
  it('keeps within one step what comes before its turn', async () => {
    const run = await waitingFor(seq(on('a').as('a'), on('b').as('b'), on('c').as('c')))
    expect(await tell(run, 'c', 'b')).toEqual([])
    expect(run.state.early?.map(({ type }) => type)).toEqual(['c', 'b'])
    expect(await tell(run, 'a')).toEqual(['agent.task.completed'])
    expect(scopeOf(run)).toEqual({ a: 'a', b: 'b', c: 'c' })
  })

  it('keeps nothing of a pattern that is complete', async () => {
    const run = await waitingFor(seq(on('a'), on('b'), on('c')))
    expect(await tell(run, 'a', 'a', 'b', 'b')).toEqual(['workflow.late', 'workflow.late'])
  })

  it('tells at once of what was kept and has no place any more', async () => {
    const run = await waitingFor(all(seq(on('a'), on('b')), on('c')))
    expect(await tell(run, 'b', 'b')).toEqual([])
    expect(await tell(run, 'a')).toEqual(['workflow.late'])
    expect(run.state.early).toBeUndefined()
  })
})

describe('any', () => {
  it('keeps what the alternative kept that held, and nothing of the others', async () => {
    const run = await waitingFor(any(all(on('a').as('a'), on('b').as('b')), on('c').as('c')))
    await tell(run, 'a', 'c')
    expect(scopeOf(run)).toEqual({ c: 'c' })
  })

  it('takes nothing more for the others, also while what it is part of is open', async () => {
    const run = await waitingFor(all(any(on('a').as('a'), on('b').as('b')), on('c').as('c')))
    expect(await tell(run, 'a', 'b')).toEqual(['workflow.late'])
    await tell(run, 'c')
    expect(scopeOf(run)).toEqual({ a: 'a', c: 'c' })
  })
})

describe('absent', () => {
  it('once it holds, it holds: what comes later is late', async () => {
    const run = await waitingFor(all(absent(on('x'), '1h'), on('y').as('y')))
    await run.wake()
    expect(run.isOver).toBe(false)
    expect(await tell(run, 'x')).toEqual(['workflow.late'])
    expect(await tell(run, 'y')).toEqual(['agent.task.completed'])
  })

  it('wakes the instance once, and not again while it waits for something else', async () => {
    const run = await waitingFor(all(absent(on('x'), '1h'), on('y')))
    const { now } = run
    await run.wake()
    expect(run.now).toBe(now + 3_600_000)
    await run.wake()
    expect(run.now).toBe(now + 9 * 86_400_000)
  })

  it('lets what follows it in a seq begin to count only then', async () => {
    const run = await waitingFor(seq(absent(on('x'), '1h'), absent(on('y'), '2h'), on('z').as('z')))
    const { now } = run
    await run.wake()
    expect(run.isOver).toBe(false)
    await run.wake()
    expect(run.now).toBe(now + 3 * 3_600_000)
    expect(await tell(run, 'z')).toEqual(['agent.task.completed'])
  })

  it('fails also by what was kept until its turn', async () => {
    const run = await waitingFor(seq(on('a'), absent(on('x'), '1h')))
    expect(await tell(run, 'x')).toEqual([])
    expect(await tell(run, 'a')).toEqual(['agent.task.failed'])
  })

  it('leaves the other alternatives of an any() when it has come', async () => {
    const run = await waitingFor(any(absent(on('x'), '1h'), on('y').as('y')))
    expect(await tell(run, 'x')).toEqual([])
    expect(await tell(run, 'y')).toEqual(['agent.task.completed'])
  })

  it('holds whose time is over at the same moment as that of its step', async () => {
    const flow = workflow('flow', { on: 'begin', within: '1h' }).when('quiet', absent(on('x'), '1h'), { within: '1h' })
    const run = new InstanceRun(flow)
    await run.turn(happened('begin'))
    expect(typesIn(await run.wake())).toEqual(['agent.task.completed'])
  })

  it('of a whole pattern holds unless all of it comes', async () => {
    const run = await waitingFor(absent(all(on('x'), on('y')), '1h'))
    expect(await tell(run, 'x')).toEqual([])
    expect(typesIn(await run.wake())).toEqual(['agent.task.completed'])
  })
})

describe('count', () => {
  it('counts no event twice, however many it counts', async () => {
    const run = await waitingFor(count(1_000, on('a').as('list')))
    const events = Array.from({ length: 999 }, (_, i) => happened('a', i))
    await run.turn(...events)
    await run.turn(events[0]!, ...events.slice(300, 400))
    expect(run.isOver).toBe(false)
    await run.turn(happened('a', 'last'))
    expect(run.isOver).toBe(true)
  })

  it('gives its captures in the order of the ids', async () => {
    const run = await waitingFor(count(3, on('a').as('list')))
    for (const id of ['m', 'z', 'b']) await run.turn(happened('a', id, id))
    expect(scopeOf(run)).toEqual({ list: ['b', 'm', 'z'] })
  })
})

it('gives an event to the first place that fits, from left to right', async () => {
  const run = await waitingFor(all(on('a').where(it => it.small).as('small'), on('a').as('other'))) // biome-ignore format: one pattern
  await run.turn(happened('a', { small: true, n: 1 }))
  await run.turn(happened('a', { small: true, n: 2 }))
  expect(scopeOf(run)).toEqual({ small: { small: true, n: 1 }, other: { small: true, n: 2 } })
})
