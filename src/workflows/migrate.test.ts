import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createEvent } from '../event.ts'
import { migrateType } from '../tasks/instances.ts'
import { tool } from '../tools/tool.ts'
import { happened, InstanceRun } from '../../test/lib/instance.ts'
import { all, on } from './patterns.ts'
import { by } from './key.ts'
import { workflow, type Workflow } from './workflow.ts'

const work = tool('work', { description: '', input: z.any(), run: () => 1 })
type Flow = Workflow<any, never, unknown>
const flow = (build: (flow: Flow) => Flow, options: object = {}): Flow => build(workflow('flow', { on: 'begin', within: '1d', ...options }) as Flow) // biome-ignore format: one line

/** Where it stands after `begin`: with `x` kept, at `paid`. */
const before = flow(b =>
  b
    .call('x', work, () => 1, { undo: { target: work, input: s => s.x } })
    .when('paid', on('paid').as('payment'), { within: '1h' })
    .complete(s => s.x),
)

async function standing(of: Flow = before) {
  const run = new InstanceRun(of)
  await run.turn(happened('begin', null))
  await run.answer('work', 'done')
  return run
}

const moveTo = (run: InstanceRun, definition: unknown) =>
  run.turn(createEvent({ type: migrateType, data: { definition } }))

/** Why it stays; undefined when it goes on by the other one. */
async function refused(to: Flow | { data: unknown }, of?: Flow) {
  const run = await standing(of)
  const { programHash } = run.task.identity
  const state = JSON.stringify({ ...run.state, seen: [] })
  const emitted = await moveTo(run, to.data)
  const refusal = emitted.find(({ type }) => type === 'workflow.migration.refused')
  if (!refusal) return undefined
  expect(run.task.identity.programHash).toBe(programHash)
  expect(JSON.stringify({ ...run.state, seen: [] })).toBe(state)
  return (refusal.data as { why: string }).why
}

const x = (b: Flow) => b.call('x', work, () => 1, { undo: { target: work, input: s => s.x } })
const paid = (b: Flow) => b.when('paid', on('paid').as('payment'), { within: '1h' })

describe('continues at its current step', () => {
  it('with other later steps', async () => {
    const to = flow(b => paid(x(b)).call('extra', work, s => s.payment).complete(s => ({ x: s.x, extra: s.extra })), { version: 2 }) // biome-ignore format: one line
    const run = await standing()
    const [told, ...more] = await moveTo(run, to.data)
    expect(told).toMatchObject({ type: 'workflow.migrated', data: { from: { version: 1 }, to: { version: 2 } } })
    expect(more).toEqual([])
    expect(run.task.identity.programVersion).toBe(2)
    await run.turn(happened('paid', 5))
    await run.answer('work', 'more')
    expect(run.turns.at(-1)!.emitted[0]!.data).toMatchObject({ output: { x: 'done', extra: 'more' } })
  })

  it('with another timeout of the step, and of the instance from its start', async () => {
    const run = await standing()
    const begun = run.state.ends! - 86_400_000
    await moveTo(run, flow(b => x(b).when('paid', on('paid').as('payment'), { within: '10m' }), { within: '2d' }).data)
    expect(run.state.ends).toBe(begun + 2 * 86_400_000)
    const { now } = run
    await run.wake()
    expect(run.now).toBe(now + 600_000)
    expect(run.task.end).not.toBe('completed')
  })

  it('with a timeout from now, if the instance had none', async () => {
    const endless = flow(b => paid(x(b)), { within: 'forever' })
    const run = await standing(endless)
    run.now += 5_000
    await moveTo(run, flow(b => paid(x(b)), { within: '1d' }).data)
    expect(run.state.ends).toBe(run.now + 86_400_000)
  })

  it('with the early events that a step still waits for', async () => {
    const of = flow(b =>
      paid(x(b))
        .when('sent', on('sent').as('sent'), { within: '1h' })
        .complete(s => s.sent),
    )
    const run = await standing(of)
    await run.turn(happened('sent', 7))
    const emitted = await moveTo(run, flow(b => paid(x(b)).complete(() => 'none')).data)
    await run.turn(happened('paid', 5))
    expect([...emitted, ...run.turns.at(-1)!.emitted].map(({ type }) => type)).toContain('workflow.late')
  })
})

describe('is refused, and continues with its definition', () => {
  it.each<[string, Flow, RegExp]>([
    [
      'the step where it stands is gone',
      flow(b => x(b).complete(s => s.x), { version: 2 }),
      /^version 2 does not have its current step "paid"$/,
    ],
    [
      'it waits for something else there',
      flow(b => x(b).when('paid', all(on('paid').as('payment')), { within: '1h' })),
      /^its current step "paid" waits for something else in version 1$/,
    ],
    [
      'it would be without something that is read later',
      flow(b => paid(x(b).call('y', work, () => 1)).complete(s => s.y)),
      /stores "y" before "paid", and this instance does not have it$/,
    ],
    ['what it has is kept no more', flow(b => paid(b)), /has no undo for "x"|no longer stores "x"/],
    [
      'what it has done could not be undone',
      flow(b => paid(b.call('x', work, () => 1))),
      /^version 1 has no undo for "x", which this instance has completed$/,
    ],
    [
      'it has another key',
      flow(b => paid(x(b)), { key: [by('begin', e => e.n), by('paid', e => e.n)] }),
      /^version 1 has another key$/,
    ],
  ])('%s', async (_, to, why) => {
    expect(await refused(to)).toMatch(why)
  })

  it('it is of another workflow', async () => {
    const to = paid(x(workflow('stranger', { on: 'begin', within: '1d' }) as Flow))
    expect(await refused(to)).toBe('the instance belongs to workflow "flow", not to "stranger"')
  })

  it.each<[string, unknown]>([
    ['nothing', null],
    ['a text', 'flow'],
    ['an object without steps', { format: 1, name: 'flow' }],
    ['a later format', { ...before.data, format: 2 }],
    ['a step of an unknown kind', { ...before.data, steps: [...before.data.steps, { kind: 'dance', id: 'z' }] }],
    ['a step without what it needs', { ...before.data, steps: [...before.data.steps, { kind: 'emit', id: 'z' }] }],
    [
      'a pattern of an unknown kind',
      {
        ...before.data,
        steps: [...before.data.steps, { ...before.data.steps[0], id: 'z', pattern: { kind: 'none', of: [] } }],
      },
    ],
    [
      'a pattern of nothing',
      {
        ...before.data,
        steps: [...before.data.steps, { ...before.data.steps[0], id: 'z', pattern: { kind: 'any', of: [] } }],
      },
    ],
    ['steps that are no list', { ...before.data, steps: { length: 1 } }],
  ])('it is no definition: %s', async (_, definition) => {
    expect(await refused({ data: definition })).toBeTypeOf('string')
  })
})
