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
  it('keeps early events within one step', async () => {
    const run = await waitingFor(seq(on('a').as('a'), on('b').as('b'), on('c').as('c')))
    expect(await tell(run, 'c', 'b')).toEqual([])
    expect(run.state.early?.map(({ type }) => type)).toEqual(['c', 'b'])
    expect(await tell(run, 'a')).toEqual(['agent.task.completed'])
    expect(scopeOf(run)).toEqual({ a: 'a', b: 'b', c: 'c' })
  })

  it('keeps no event of a pattern that holds', async () => {
    const run = await waitingFor(seq(on('a'), on('b'), on('c')))
    expect(await tell(run, 'a', 'a', 'b', 'b')).toEqual(['workflow.late', 'workflow.late'])
  })

  it('reports a kept event as late as soon as no part can take it', async () => {
    const run = await waitingFor(all(seq(on('a'), on('b')), on('c')))
    expect(await tell(run, 'b', 'b')).toEqual([])
    expect(await tell(run, 'a')).toEqual(['workflow.late'])
    expect(run.state.early).toBeUndefined()
  })
})

describe('any', () => {
  it('stores the captures of the alternative that holds, and none of the others', async () => {
    const run = await waitingFor(any(all(on('a').as('a'), on('b').as('b')), on('c').as('c')))
    await tell(run, 'a', 'c')
    expect(scopeOf(run)).toEqual({ c: 'c' })
  })

  it('takes no more events for the others, even while the enclosing pattern is open', async () => {
    const run = await waitingFor(all(any(on('a').as('a'), on('b').as('b')), on('c').as('c')))
    expect(await tell(run, 'a', 'b')).toEqual(['workflow.late'])
    await tell(run, 'c')
    expect(scopeOf(run)).toEqual({ a: 'a', c: 'c' })
  })
})

describe('absent', () => {
  it('stays held: a later event is late', async () => {
    const run = await waitingFor(all(absent(on('x'), '1h'), on('y').as('y')))
    await run.wake()
    expect(run.isOver).toBe(false)
    expect(await tell(run, 'x')).toEqual(['workflow.late'])
    expect(await tell(run, 'y')).toEqual(['agent.task.completed'])
  })

  it('wakes the instance only once', async () => {
    const run = await waitingFor(all(absent(on('x'), '1h'), on('y')))
    const { now } = run
    await run.wake()
    expect(run.now).toBe(now + 3_600_000)
    await run.wake()
    expect(run.now).toBe(now + 9 * 86_400_000)
  })

  it('starts the next absence of a seq only when it holds', async () => {
    const run = await waitingFor(seq(absent(on('x'), '1h'), absent(on('y'), '2h'), on('z').as('z')))
    const { now } = run
    await run.wake()
    expect(run.isOver).toBe(false)
    await run.wake()
    expect(run.now).toBe(now + 3 * 3_600_000)
    expect(await tell(run, 'z')).toEqual(['agent.task.completed'])
  })

  it('fails on an event that was kept until it started', async () => {
    const run = await waitingFor(seq(on('a'), absent(on('x'), '1h')))
    expect(await tell(run, 'x')).toEqual([])
    expect(await tell(run, 'a')).toEqual(['agent.task.failed'])
  })

  it('leaves the other alternatives of an any() open when it fails', async () => {
    const run = await waitingFor(any(absent(on('x'), '1h'), on('y').as('y')))
    expect(await tell(run, 'x')).toEqual([])
    expect(await tell(run, 'y')).toEqual(['agent.task.completed'])
  })

  it('holds if its time ends together with that of its step', async () => {
    const flow = workflow('flow', { on: 'begin', within: '1h' }).when('quiet', absent(on('x'), '1h'), { within: '1h' })
    const run = new InstanceRun(flow)
    await run.turn(happened('begin'))
    expect(typesIn(await run.wake())).toEqual(['agent.task.completed'])
  })

  it('of a pattern holds unless the whole pattern occurs', async () => {
    const run = await waitingFor(absent(all(on('x'), on('y')), '1h'))
    expect(await tell(run, 'x')).toEqual([])
    expect(typesIn(await run.wake())).toEqual(['agent.task.completed'])
  })
})

describe('count', () => {
  it('counts each event once', async () => {
    const run = await waitingFor(count(1_000, on('a').as('list')))
    const events = Array.from({ length: 999 }, (_, i) => happened('a', i))
    await run.turn(...events)
    await run.turn(events[0]!, ...events.slice(300, 400))
    expect(run.isOver).toBe(false)
    await run.turn(happened('a', 'last'))
    expect(run.isOver).toBe(true)
  })

  it('returns its captures in the order of the ids', async () => {
    const run = await waitingFor(count(3, on('a').as('list')))
    for (const id of ['m', 'z', 'b']) await run.turn(happened('a', id, id))
    expect(scopeOf(run)).toEqual({ list: ['b', 'm', 'z'] })
  })
})

it('gives an event to the first leaf that matches, from left to right', async () => {
  const run = await waitingFor(all(on('a').where(it => it.small).as('small'), on('a').as('other'))) // biome-ignore format: one pattern
  await run.turn(happened('a', { small: true, n: 1 }))
  await run.turn(happened('a', { small: true, n: 2 }))
  expect(scopeOf(run)).toEqual({ small: { small: true, n: 1 }, other: { small: true, n: 2 } })
})
