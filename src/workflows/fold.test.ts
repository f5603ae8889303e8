import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { plainRedactor } from '../bus/redact.ts'
import { createEvent, type CloudEvent } from '../event.ts'
import { migrateType } from '../tasks/instances.ts'
import { expiredAnswer } from '../tasks/engine-answers.ts'
import { tool } from '../tools/tool.ts'
import { answerTo, happened, InstanceRun } from '../../test/lib/instance.ts'
import { absent, all, any, count, on, seq } from './patterns.ts'
import { exists, is } from './refs.ts'
import { workflow } from './workflow.ts'

/* What is folded from recorded turns, from the beginning or from any snapshot, is what was there when they were decided. */

const work = tool('work', { description: '', input: z.any(), run: () => 1 })
const other = workflow('other', { within: '1d', input: z.any() }).complete(() => 1)

/** A bit of everything. */
const everything = (version: number) =>
  workflow('everything', { within: '30d', version })
    .when('first', all(on('a').as('a'), any(on('b').as('b'), absent(on('c'), '1h'))), { within: '2d' })
    .call('done', work, s => s.a, { undo: { target: work, input: s => s.done }, otherwise: b => b.wait('1m') })
    .repeat(
      'round',
      round =>
        round
          .when('next', seq(on('c').as('c'), on('d').as('d')), { within: '3h', otherwise: b => b.emit('missed', s => s.error.code) }) // biome-ignore format: one step
          .start(other, s => s.c)
          .each('list', () => [1, 2, 3, 4], other, { parallel: 2, join: { quorum: 2 }, otherwise: b => b.wait(0) }),
      { until: s => is(s.d, 'stop'), maxRounds: 2 },
    )
    .approve('say', s => s.c, { within: '2d', remind: '5h', otherwise: b => b.emit('refused', s => s.error) })
    .choose(
      s => exists(s.say),
      b => b.when('more', count(3, on('a').as('more')), { within: '1d' }),
    )
    .parallel('both', { last: work, other }, s => ({ last: s.list, other: s.a }), { otherwise: b => b.wait('1m') })
    .complete(s => s.last)

const kinds = ['event', 'event', 'event', 'answer', 'answer', 'answer', 'fail', 'wake', 'cancel', 'migrate'] as const
type Move = { readonly kind: (typeof kinds)[number]; readonly pick: number; readonly apart: boolean }
const moves = fc.array(fc.record({ kind: fc.constantFrom(...kinds), pick: fc.nat(11), apart: fc.boolean() }), {
  minLength: 20,
  maxLength: 90,
})

/** An input that may come now. */
function inputOf({ kind, pick }: Move, run: InstanceRun): CloudEvent | undefined {
  const [timers, calls] = [run.open.filter(isTimer), run.open.filter(call => !isTimer(call))]
  const call = calls[pick % (calls.length || 1)]
  switch (kind) {
    case 'event':
      return happened('abcd'[pick % 4]!, pick > 5 ? 'stop' : pick)
    case 'answer':
    case 'fail':
      return call && answerTo(call, kind === 'answer' ? { output: pick } : { error: { code: 'E_TOOL_THREW', message: 'no' } }) // biome-ignore format: one answer
    case 'wake': {
      const [timer] = timers
      run.now = Math.max(run.now, timer?.until ?? 0)
      return timer && expiredAnswer(timer, run.task.identity, run.now)
    }
    case 'cancel':
      return pick > 0 || run.turns.length === 0 ? undefined : createEvent({ type: 'agent.cancel', data: { reason: 'enough' } }) // biome-ignore format: one event
    case 'migrate':
      return run.turns.length === 0 ? undefined : createEvent({ type: migrateType, data: { definition: everything(2).data } }) // biome-ignore format: one event
  }
}

const isTimer = ({ type }: { type: string }) => type === 'timer.set'

/** Several inputs are one turn, as the engine takes them: each call is answered once. */
async function walk(steps: readonly Move[]) {
  const run = new InstanceRun(everything(1))
  const snapshots: string[] = []
  let inputs: CloudEvent[] = []
  for (const move of [...steps, { kind: 'event', pick: 0, apart: true } as const]) {
    if (run.isOver) break
    const input = run.turns.length === 0 && move.kind !== 'event' ? undefined : inputOf(move, run)
    if (input && !inputs.some(({ call }) => call !== undefined && call === input.call)) inputs.push(input)
    if (!move.apart || inputs.length === 0) continue
    await run.turn(...inputs.splice(0))
    snapshots.push(run.task.machine.snapshot()!)
    expect(run.open.filter(isTimer).length).toBeLessThanOrEqual(1)
    inputs = []
  }
  return { run, snapshots }
}

it('is the same from the beginning and from each snapshot', async () => {
  const reached = new Set<string>()
  await fc.assert(
    fc.asyncProperty(moves, fc.nat(60), async (steps, nth) => {
      const { run, snapshots } = await walk(steps)
      if (snapshots.length === 0) return
      for (const { turn, emitted } of run.turns) {
        for (const { type } of emitted) reached.add(type)
        if (turn.end) reached.add(turn.end)
      }
      const start = run.task.identity.start
      const whole = run.definition.machine(start, plainRedactor)
      for (const [i, turn] of run.turns.entries()) {
        await whole.fold(turn)
        expect(whole.snapshot()).toBe(snapshots[i])
      }
      const from = nth % snapshots.length
      const later = (await definitionAfter(run, from)).machine(start, plainRedactor, snapshots[from])
      for (const turn of run.turns.slice(from + 1)) await later.fold(turn)
      expect(JSON.parse(later.snapshot()!)).toEqual(JSON.parse(snapshots.at(-1)!))
    }),
    { numRuns: 400 },
  )
  // The walks get about.
  for (const type of ['approval.requested', 'workflow.late', 'missed', 'cancelled', 'failed'])
    expect(reached).toContain(type)
})

/** As a worker does it: by the definition that the turn names. */
async function definitionAfter(run: InstanceRun, index: number) {
  const { programHash } = run.turns[index + 1]?.turn ?? run.task.identity
  return [everything(1), everything(2)].map(({ definition }) => definition).find(({ hash }) => hash === programHash)!
}

it('keeps its size for any number of events and rounds', async () => {
  const flow = workflow('round', { on: 'begin', within: '30d' }).repeat(
    'again',
    each =>
      each
        .when('one', all(on('a').as('a'), on('b').as('b')), { within: '1h', otherwise: b => b })
        .call('work', work, s => s.a)
        .wait('1s'),
    { until: s => is(s.a, 'stop'), maxRounds: 1_000_000 },
  )
  const run = new InstanceRun(flow)
  await run.turn(happened('begin'))
  const sizes: number[] = []
  for (let i = 0; i < 2_000; i++) {
    await run.turn(happened('a', i), happened('x'), happened('b', i))
    await run.answer('work', i)
    await run.wake()
    sizes.push(run.task.machine.snapshot()!.length)
    run.turns.length = 0
  }
  expect(run.isOver).toBe(false)
  expect(run.open.length).toBe(1)
  expect(Math.max(...sizes)).toBeLessThan(12_000)
})
