import { expect, it } from 'vitest'
import { z } from 'zod'
import { tool, workflow, type Timeout, type Workflow } from '../../src/index.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import { sourceFromBus } from '../../src/replay/source.ts'
import { Programs } from '../../src/tasks/programs.ts'
import { until } from '../../src/testing/wait.ts'
import { parseId } from '../../src/bus/ids.ts'
import { Story } from '../lib/workflows.ts'
import { onAnyBus } from '../lib/world.ts'

/* A trip that is booked step by step, and given back in reverse order. */

const any = z.any()
/** What was booked and given back, in the order in which it was. */
function agency(refuses?: string) {
  const done: string[] = []
  const book = tool('book', {
    description: '',
    input: any,
    run: ({ what }: { what: string }) => {
      done.push(`book ${what}`)
      return { id: what.toUpperCase() }
    },
  })
  const giveBack = tool('give.back', {
    description: '',
    input: any,
    retry: { maxAttempts: 1 },
    run: ({ id }: { id: string }) => {
      done.push(`give back ${id}`)
      if (id === refuses) throw new Error('no refund')
    },
  })
  return { done, book, giveBack }
}

const { book, giveBack } = agency()
const trip = (
  last: (booked: Workflow<any, never, unknown>) => Workflow<any, never, unknown>,
  within: Timeout = '1h',
) => {
  const undo = (name: string) => ({ undo: { target: giveBack, input: (s: any) => ({ id: s[name].id }) } })
  return last(
    workflow('trip', { on: 'trip.wanted', within })
      .call('flight', book, () => ({ what: 'flight' }), undo('flight'))
      .call('fee', book, () => ({ what: 'fee' }))
      .call('hotel', book, () => ({ what: 'hotel' }), undo('hotel')) as never,
  )
}
const booked = ['book flight', 'book fee', 'book hotel']

onAnyBus(world => {
  it('what was done is undone, the last first, and then the instance has failed', async () => {
    const { done, ...tools } = agency()
    const running = await (await world()).worker({
      use: [trip(b => b.fail(() => 'no car')), tools.book, tools.giveBack],
    })
    const story = new Story(running, 'trip')
    await story.tell('trip.wanted')
    expect(await story.end()).toBe('E_WORKFLOW_FAILED')
    expect(done).toEqual([...booked, 'give back HOTEL', 'give back FLIGHT'])
  })

  it('one that runs out of budget is undone beyond it', async () => {
    const { done, ...tools } = agency()
    // Two steps and the timer of the whole.
    const running = await (await world()).worker({
      use: [trip(b => b.fail(() => 'no car')), tools.book, tools.giveBack],
      budget: { calls: 3 },
    })
    const story = new Story(running, 'trip')
    await story.tell('trip.wanted')
    expect(await story.end()).toBe('E_BUDGET_EXCEEDED')
    expect(done).toEqual(['book flight', 'book fee', 'give back FLIGHT'])
  })

  it('one whose turn cannot be recorded is undone, and the next worker continues the undo', async () => {
    const log = await world()
    const large = tool('large', { description: '', input: any, run: () => ({ text: 'x'.repeat(3 * 1024 * 1024) }) })
    const flow = trip(b => b.call('one', large, () => 1).emit('trip.said', (s: any) => [s.one, s.one] as never)) // biome-ignore format: one flow
    const first = agency()
    await log.worker({ name: 'tools', use: [first.book, large] })
    const worker = await log.worker({ use: [flow] }, { only: ['agents'] })
    const before = new Story(worker, 'trip')
    await before.tell('trip.wanted')
    await before.asked('tool.invoke', 5)
    await log.stop()
    const { done, ...tools } = agency()
    const running = await log.worker({ use: [flow, tools.book, tools.giveBack] })
    const story = new Story(running, 'trip', before.correlation)
    expect(await story.end()).toBe('E_EVENT_TOO_LARGE')
    expect(done).toEqual(['give back HOTEL', 'give back FLIGHT'])
    expect((await story.events()).map(({ type }) => type)).not.toContain('trip.said')
    const replay = new Replayer(new Programs([flow.definition]))
    for await (const { position, event } of sourceFromBus(running.bus, { all: true }).events())
      await replay.add(position, event)
    expect(replay.finish()).toMatchObject({ tasks: 1, divergences: [], skipped: [] })
  })

  it('one that runs out of budget is undone by the worker that comes next', async () => {
    const log = await world()
    const flow = trip(b => b.fail(() => 'no car'))
    const first = agency()
    await log.worker({ name: 'tools', use: [first.book] })
    const worker = await log.worker({ use: [flow], budget: { calls: 3 } }, { only: ['agents'] })
    const before = new Story(worker, 'trip')
    await before.tell('trip.wanted')
    await until(async () => (await before.events()).some(({ target }) => target === 'give.back'))
    await log.stop()
    const { done, ...tools } = agency()
    const running = await log.worker({ use: [flow, tools.book, tools.giveBack], budget: { calls: 3 } })
    expect(await new Story(running, 'trip', before.correlation).end()).toBe('E_BUDGET_EXCEEDED')
    expect(done).toEqual(['give back FLIGHT'])
  })

  it('another worker continues the undo, each step once', async () => {
    const log = await world()
    const first = agency()
    const flow = trip(b => b.fail(() => 'no car'))
    // Nobody who gives back is there yet.
    await log.worker({ name: 'tools', use: [first.book] })
    const worker = await log.worker({ use: [flow] }, { only: ['agents'] })
    const before = new Story(worker, 'trip')
    await before.tell('trip.wanted')
    await until(async () => (await before.events()).some(({ target }) => target === 'give.back'))
    await log.stop()
    const { done, ...tools } = agency()
    const running = await log.worker({ use: [flow, tools.book, tools.giveBack] })
    const story = new Story(running, 'trip', before.correlation)
    expect(await story.end()).toBe('E_WORKFLOW_FAILED')
    expect(first.done).toEqual(booked)
    expect(done).toEqual(['give back HOTEL', 'give back FLIGHT'])
  })

  it('a cancellation undoes too, and takes back what is open', async () => {
    const { done, ...tools } = agency()
    const elsewhere = tool('elsewhere', { description: '', input: any, run: () => 1 })
    const flow = trip(b => b.call('car', elsewhere, () => 1))
    const running = await (await world()).worker({ use: [flow, tools.book, tools.giveBack] })
    const story = new Story(running, 'trip')
    await story.tell('trip.wanted')
    const open = await until(async () => (await story.events()).find(({ target }) => target === 'elsewhere'))
    const { correlation: correlationid } = story
    const subject = parseId(open.id)!.task
    await running.bus.publish({ type: 'agent.cancel', target: 'trip', subject, correlationid, data: { reason: 'ill' } })
    expect(await story.end()).toBe('ill')
    expect(done).toEqual([...booked, 'give back HOTEL', 'give back FLIGHT'])
    expect((await story.asked('call.cancelled')).map(event => event.subject)).toEqual([open.id])
  })

  it('one that cannot be undone keeps the others back from nothing, and is named', async () => {
    const { done, ...tools } = agency('HOTEL')
    const flow = trip(b => b.fail(() => 'no car'))
    const running = await (await world()).worker({ use: [flow, tools.book, tools.giveBack] })
    const story = new Story(running, 'trip')
    await story.tell('trip.wanted')
    await story.end()
    expect(done.at(-1)).toBe('give back FLIGHT')
    const [failed] = await story.asked('agent.task.failed')
    expect(failed!.data).toMatchObject({ error: { message: 'no car; not undone: hotel (no refund)' } })
  })

  it('so does an instance whose time is over', async () => {
    const { done, ...tools } = agency()
    const flow = trip(b => b.wait('1h'), '600ms')
    const running = await (await world()).worker({ use: [flow, tools.book, tools.giveBack] })
    const story = new Story(running, 'trip')
    await story.tell('trip.wanted')
    expect(await story.end()).toBe('E_WORKFLOW_EXPIRED')
    expect(done.slice(-2)).toEqual(['give back HOTEL', 'give back FLIGHT'])
  })
})
