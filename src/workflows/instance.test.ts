import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createEvent } from '../event.ts'
import { migrateType } from '../tasks/instances.ts'
import { tool } from '../tools/tool.ts'
import { happened, InstanceRun, typesIn } from '../../test/lib/instance.ts'
import { all, count, on } from './patterns.ts'
import { exists, is } from './refs.ts'
import { workflow } from './workflow.ts'

/* Single instances, turn by turn, without a log. */

const work = tool('work', { description: '', input: z.any(), run: () => 1 })
const other = workflow('other', { within: '1d', input: z.any() }).complete(() => 1)
const begin = (data: unknown = null) => happened('begin', data)
const outputOf = (run: InstanceRun) =>
  run.turns.at(-1)!.emitted.map(({ data }) => (data as { output?: unknown }).output).at(-1) // biome-ignore format: one line
const errorOf = (run: InstanceRun) =>
  (run.turns.at(-1)!.emitted.find(({ type }) => type === 'agent.task.failed')?.data as { error?: object })?.error

describe('calls', () => {
  it('are distinguished from starts of the same name in the same turn', async () => {
    const run = new InstanceRun(workflow('flow', { on: 'begin', within: '1d' }).start(other, () => 1).call('x', other, () => 2).complete(s => s.x)) // biome-ignore format: one line
    await run.turn(begin())
    await run.answer('other', 'well')
    expect(outputOf(run)).toBe('well')
  })

  it('without an output return null, also in each()', async () => {
    const run = new InstanceRun(
      workflow('flow', { on: 'begin', within: '1d' })
        .call('x', work, () => 1)
        .each('list', () => [1, 2], work)
        .complete(s => [s.x, s.list]),
    )
    await run.turn(begin())
    await run.answer('work', undefined)
    await run.answer('work', undefined)
    await run.answer('work', undefined)
    expect(outputOf(run)).toEqual([null, [null, null]])
  })

  it('of a workflow that events start fail with a clear text', async () => {
    const run = new InstanceRun(workflow('flow', { on: 'begin', within: '1d' }).complete(() => 1))
    await run.turn(createEvent({ type: 'agent.invoke', target: 'flow', data: { input: 1 } }))
    expect(errorOf(run)).toMatchObject({ code: 'E_WORKFLOW_VALUE', message: 'workflow "flow" is started by events and cannot be called: give it `input`' }) // biome-ignore format: one line
  })

  it('of a workflow pass only a valid input', async () => {
    const flow = workflow('flow', { input: z.object({ n: z.number() }), within: '1d' }).complete(s => s.event.n)
    const invoke = (input: unknown) =>
      createEvent({ type: 'agent.invoke', target: 'flow', replyto: 'x', data: { input } })
    const run = new InstanceRun(flow)
    await run.turn(invoke({ n: 'one' }))
    expect(errorOf(run)).toMatchObject({ code: 'E_WORKFLOW_VALUE', message: expect.stringContaining('the input: ') })
    const empty = new InstanceRun(flow)
    await empty.turn(createEvent({ type: 'agent.invoke', target: 'flow', data: null }))
    expect(errorOf(empty)).toMatchObject({ code: 'E_WORKFLOW_VALUE' })
    const well = new InstanceRun(flow)
    await well.turn(invoke({ n: 1 }))
    expect(outputOf(well)).toBe(1)
  })
})

describe('parallel', () => {
  const flow = workflow('flow', { on: 'begin', within: '1d' })
    .parallel('facts', { notes: work, price: other }, s => ({ notes: s.event.text, price: { item: s.event.item } }), {
      otherwise: b => b.complete(s => s.error.message),
    })
    .complete(s => ({ notes: s.notes, price: s.price }))
  const started = async () => {
    const run = new InstanceRun(flow)
    const emitted = await run.turn(begin({ text: 'a', item: 1 }))
    return { run, asked: emitted.filter(({ replyto }) => replyto !== undefined) }
  }

  it('calls all targets at once, each with its input, and stores the answers by name', async () => {
    const { run, asked } = await started()
    expect(asked.map(({ target, data }) => [target, data])).toEqual([
      ['work', { input: 'a' }],
      ['other', { input: { item: 1 } }],
    ])
    await run.answer('other', 7)
    expect(run.isOver).toBe(false)
    await run.answer('work', 'one')
    expect(outputOf(run)).toEqual({ notes: 'one', price: 7 })
  })

  it('takes the otherwise branch after the first failure, and cancels the other calls', async () => {
    const { run } = await started()
    const emitted = await run.fail('other', 'no')
    expect(typesIn(emitted).toSorted()).toEqual(['agent.task.completed', 'call.cancelled'])
    expect(emitted.find(({ type }) => type === 'agent.task.completed')!.data).toMatchObject({ output: 'no' })
  })

  it('passes null to a target without an input', async () => {
    const lost = workflow('flow', { on: 'begin', within: '1d' }).parallel('facts', { work, other }, s => s.event)
    const emitted = await new InstanceRun(lost).turn(begin('text'))
    expect(emitted.flatMap(({ data, replyto }) => (replyto ? [data] : []))).toEqual([{ input: null }, { input: null }])
  })
})

describe('each', () => {
  const flow = (join: 'all' | 'settled' | { quorum: number }, parallel = 2) =>
    workflow('flow', { on: 'begin', within: '1d' })
      .each('list', s => s.event.items, work, { join, parallel })
      .complete(s => s.list)
  const started = async (join: Parameters<typeof flow>[0], items: unknown = ['a', 'b', 'c']) => {
    const run = new InstanceRun(flow(join))
    await run.turn(begin({ items }))
    return run
  }

  it('limits concurrent calls, and returns the answers in the order of the items', async () => {
    const run = await started('all')
    expect(run.open.filter(({ target }) => target === 'work').length).toBe(2)
    const [, second] = run.open.filter(({ target }) => target === 'work')
    await run.turn(happenedTo(second!.id, { output: 2 }))
    expect(run.open.filter(({ target }) => target === 'work').length).toBe(2)
    await run.answer('work', 1)
    await run.answer('work', 3)
    expect(outputOf(run)).toEqual([1, 2, 3])
  })

  it('all: fails with the first failure, and cancels the other calls', async () => {
    const run = await started('all')
    const emitted = await run.fail('work', 'no')
    expect(typesIn(emitted)).toEqual(['agent.task.failed', 'call.cancelled'])
    expect(errorOf(run)).toMatchObject({ message: 'no' })
  })

  it('settled: failures count as results', async () => {
    const run = await started('settled')
    await run.fail('work', 'no')
    await run.answer('work', 2)
    await run.answer('work', 3)
    expect(outputOf(run)).toEqual([{ error: { code: 'E_TOOL_THREW', message: 'no' } }, { output: 2 }, { output: 3 }])
  })

  it('quorum: continues when it is reached, and fails as soon as it cannot be reached', async () => {
    const run = await started({ quorum: 2 })
    await run.fail('work', 'no')
    await run.answer('work', 2)
    await run.answer('work', 3)
    expect(outputOf(run)).toEqual([2, 3])
    const lost = await started({ quorum: 2 })
    await lost.fail('work', 'no')
    expect(lost.isOver).toBe(false)
    await lost.fail('work', 'nor this')
    expect(errorOf(lost)).toMatchObject({ message: 'no' })
  })

  it('returns an empty list for no items, and fails for a value that is not a list and for a quorum above the number of items', async () => {
    expect(outputOf(await started('all', []))).toEqual([])
    expect(errorOf(await started('all', 'abc'))).toMatchObject({ code: 'E_WORKFLOW_VALUE' })
    expect(errorOf(await started({ quorum: 3 }, [1, 2]))).toMatchObject({
      message: 'list: the quorum of 3 is larger than the number of items, 2',
    })
  })
})

const happenedTo = (call: string, data: object) => createEvent({ type: 'tool.result', call, data })

describe('time', () => {
  it('of a step ends when the timer fires: an event in the same turn is in time', async () => {
    const flow = workflow('flow', { on: 'begin', within: '1d' }).when('a', on('a').as('a'), { within: '1h' })
    const run = new InstanceRun(flow)
    await run.turn(begin())
    run.now += 7_200_000
    await run.turn(happened('a'), createEvent({ type: 'timer.fired', call: run.open[0]!.id, data: null }))
    expect(run.task.end).toBe('completed')
  })

  it('of an instance ends in any step', async () => {
    const flow = workflow('flow', { on: 'begin', within: '1h' }).call('x', work, () => 1)
    const run = new InstanceRun(flow)
    await run.turn(begin())
    expect(typesIn(await run.wake())).toEqual(['agent.task.failed', 'call.cancelled'])
    expect(errorOf(run)).toMatchObject({ code: 'E_WORKFLOW_EXPIRED', message: 'flow: the instance took longer than 1h' }) // biome-ignore format: one line
  })

  it('cancels an instance that never started, and reports the events that it kept', async () => {
    const flow = workflow('flow', { on: 'begin', within: '1h' }).when('a', on('a'), { within: '1h' })
    const run = new InstanceRun(flow)
    await run.turn(happened('a'))
    expect(typesIn(await run.wake())).toEqual(['agent.task.cancelled', 'workflow.late'])
  })

  it('waits until a time from the scope, and not for a past or invalid one', async () => {
    const flow = workflow('flow', { on: 'begin', within: '9d' }).waitUntil(s => s.event.at).complete(() => 'done') // biome-ignore format: one line
    const at = async (moment: unknown) => {
      const run = new InstanceRun(flow)
      await run.turn(begin({ at: moment }))
      return run
    }
    const run = await at('2026-01-02T00:00:00Z')
    expect(run.isOver).toBe(false)
    await run.wake()
    expect(run.now).toBe(Date.UTC(2026, 0, 2))
    expect(outputOf(run)).toBe('done')
    expect(outputOf(await at(0))).toBe('done')
    for (const none of ['soon', 1e300, null, [0]])
      expect(errorOf(await at(none))).toMatchObject({ code: 'E_WORKFLOW_VALUE' })
  })
})

describe('kept events', () => {
  it('are 256 events at most; the next one is late', async () => {
    const flow = workflow('flow', { on: 'begin', within: '1h' }).when('a', count(300, on('a').as('a')), {
      within: '1h',
    })
    const run = new InstanceRun(flow)
    const emitted = await run.turn(...Array.from({ length: 300 }, (_, i) => happened('a', i)))
    expect(emitted.filter(({ type }) => type === 'workflow.late').length).toBe(300 - 256)
  })

  it('are late as soon as no step can take them', async () => {
    const flow = workflow('flow', { on: 'begin', within: '1h' })
      .choose(
        s => exists(s.event),
        b => b,
        b => b.when('a', on('a'), { within: '1h' }),
      )
      .when('b', on('b'), { within: '1h' })
    const run = new InstanceRun(flow)
    await run.turn(happened('a'))
    expect(typesIn(await run.turn(begin(1)))).toEqual(['workflow.late'])
    expect(run.state.early).toBeUndefined()
  })

  it('are reported as late when the instance is cancelled', async () => {
    const flow = workflow('flow', { on: 'begin', within: '1h' }).call('x', work, () => 1).when('a', on('a'), { within: '1h' }) // biome-ignore format: one line
    const run = new InstanceRun(flow)
    await run.turn(begin(), happened('a'))
    expect(typesIn(await run.cancel()).toSorted()).toEqual(['agent.task.cancelled', 'call.cancelled', 'workflow.late'])
  })

  it('are taken by the rounds of a repeat(), one each', async () => {
    const flow = workflow('flow', { on: 'begin', within: '1h' })
      .repeat('round', b => b.when('a', on('a').as('a'), { within: '1h' }), { until: s => is(s.a, 3), maxRounds: 9 })
      .complete(s => s.a)
    const run = new InstanceRun(flow)
    await run.turn(happened('a', 1), happened('a', 2), begin(), happened('a', 3))
    expect(outputOf(run)).toBe(3)
  })
})

it('a repeat() that never waits fails after a thousand rounds and does not block its worker', async () => {
  const flow = workflow('flow', { on: 'begin', within: '1h' }).repeat('round', b => b.each('list', () => [], work), { until: s => is(s.list, 1), maxRounds: 1e12 }) // biome-ignore format: one line
  const run = new InstanceRun(flow)
  await run.turn(begin())
  expect(errorOf(run)).toMatchObject({ code: 'E_WORKFLOW_VALUE', message: 'round: more than 1000 rounds without a wait' }) // biome-ignore format: one line
})

it('inputs in the same turn as a migration are processed', async () => {
  const flow = (version: number) =>
    workflow('flow', { on: 'begin', within: '1h', version }).call('x', work, () => 1).complete(s => s.x) // biome-ignore format: one line
  const run = new InstanceRun(flow(1))
  await run.turn(begin(), createEvent({ type: migrateType, data: { definition: flow(2).data } }))
  expect(run.task.identity.programVersion).toBe(2)
  await run.answer('work', 'well')
  expect(outputOf(run)).toBe('well')
})

it('names of built-in object properties are stored like any other data', async () => {
  const flow = workflow('flow', { on: 'begin', within: '1h' }).emit('said', s => ({ toString: s.event.x, constructor: s.event.y })) // biome-ignore format: one line
  const run = new InstanceRun(flow)
  const emitted = await run.turn(begin(JSON.parse('{"x":{"z":1},"y":2}')))
  expect(JSON.stringify(emitted[0]!.data)).toBe('{"toString":{"z":1},"constructor":2}')
})

it('an otherwise branch sees what was captured, and the next steps follow', async () => {
  const flow = workflow('flow', { on: 'begin', within: '1d' })
    .when('both', all(on('a').as('a'), on('b').as('b')), {
      within: '1h',
      otherwise: b => b.emit('missing', s => ({ a: s.a, b: s.b, why: s.error.code })),
    })
    .complete(s => s.a)
  const run = new InstanceRun(flow)
  await run.turn(begin(), happened('a', 1))
  const [missing] = await run.wake()
  expect(missing!.data).toEqual({ a: 1, why: 'E_WORKFLOW_EXPIRED' })
  expect(outputOf(run)).toBe(1)
})
