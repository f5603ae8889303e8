import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { CloudEvent } from '../event.ts'
import { happened, InstanceRun } from '../../test/lib/instance.ts'
import { all, any, count, on, seq, type EventPattern } from './patterns.ts'
import { workflow, type Workflow } from './workflow.ts'

/* Whatever the order in which events are delivered, however often, and however they are split into turns: the same state. */

type Shape = number | { readonly kind: 'seq' | 'all' | 'any'; readonly of: readonly Shape[] }

/** A number is so many events of a type of its own: `on` for one, else `count`. */
const shapes = fc.letrec<{ shape: Shape }>(tie => ({
  shape: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.integer({ min: 1, max: 3 }),
    fc.record({ kind: fc.constantFrom('seq', 'all'), of: fc.array(tie('shape'), { minLength: 1, maxLength: 3 }) }),
    // One way only: of two, it is the first that is delivered which counts.
    fc.record({ kind: fc.constant('any' as const), of: fc.tuple(tie('shape')) }),
  ),
})).shape

/** The workflow that waits for these patterns one after the other, and the events that it takes. */
function built(steps: readonly Shape[]): { flow: Workflow<any, never, unknown>; events: CloudEvent[] } {
  const events: CloudEvent[] = []
  let types = 0
  const watch = (shape: Shape): EventPattern => {
    if (typeof shape === 'number') {
      const type = `t${types++}`
      for (let i = 0; i < shape; i++) events.push(happened(type, events.length, `${(events.length * 7919) % 1009}`))
      const leaf = on(type).as(type)
      return shape === 1 ? leaf : count(shape, leaf)
    }
    const of = shape.of.map(watch)
    return { seq, all, any }[shape.kind](...of)
  }
  let flow: Workflow<any, never, unknown> = workflow('flow', { within: 'forever' })
  steps.forEach((shape, i) => (flow = flow.when(`s${i}`, watch(shape), { within: '1d' })))
  return { flow, events }
}

/** Some of the events, some of them several times, in any order and in any turns. */
const scheduled = (events: readonly CloudEvent[]) =>
  fc
    .tuple(fc.subarray([...events], { minLength: 1 }), fc.array(fc.nat(), { maxLength: 8 }), fc.array(fc.boolean(), { minLength: 40, maxLength: 40 })) // biome-ignore format: one tuple
    .chain(([chosen, again, cuts]) => {
      const delivered = [...chosen, ...again.map(n => chosen[n % chosen.length]!)]
      const shuffled = fc.shuffledSubarray(delivered, { minLength: delivered.length })
      return shuffled.map(order => ({ chosen, turns: split(order, cuts) }))
    })

function split(events: readonly CloudEvent[], cuts: readonly boolean[]): CloudEvent[][] {
  const turns: CloudEvent[][] = []
  for (const [i, event] of events.entries())
    if (i === 0 || cuts[i % cuts.length]) turns.push([event])
    else turns.at(-1)!.push(event)
  return turns
}

async function after(flow: Workflow<any, never, unknown>, turns: readonly (readonly CloudEvent[])[]) {
  const run = new InstanceRun(flow)
  const late: string[] = []
  for (const turn of turns)
    if (!run.isOver)
      for (const { type, subject } of await run.turn(...turn)) if (type === 'workflow.late') late.push(subject!)
  const { scope, at, ended, early = [], wait, seen = [] } = run.state
  const taken = wait?.kind === 'when' ? wait.taken : undefined
  return { scope, at, ended, taken, late, early: early.map(({ id }) => id).toSorted(), seen: seen.toSorted() }
}

it('the order, number and grouping of deliveries make no difference', async () => {
  const scenario = fc
    .array(shapes, { minLength: 1, maxLength: 4 })
    .map(built)
    .chain(({ flow, events }) => scheduled(events).map(schedule => ({ flow, ...schedule, isAll: schedule.chosen.length === events.length }))) // biome-ignore format: one line
  await fc.assert(
    fc.asyncProperty(scenario, async ({ flow, chosen, turns, isAll }) => {
      const found = await after(flow, turns)
      expect(found).toEqual(
        await after(
          flow,
          chosen.map(event => [event]),
        ),
      )
      expect(found.late).toEqual([])
      expect(found.ended === true).toBe(isAll)
    }),
    { numRuns: 400 },
  )
})
