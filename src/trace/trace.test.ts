import fc from 'fast-check'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createEvent, type CloudEvent, type Draft } from '../event.ts'
import { emitId, resultId, taskId, turnId, cancelId } from '../bus/ids.ts'
import type { Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'
import { buildTraceTree } from './build-tree.ts'
import { requestOutcome, taskOutcome } from './outcome.ts'
import { traceRecords } from './records.ts'
import { render } from './render.ts'
import { slim } from './slim.ts'
import { displayWidth } from './text.ts'
import type { Branch, Trace, TraceNode } from './tree.ts'
import { walkTrace } from './walk.ts'

const correlation = '01900000-0000-7000-8000-000000000001'
const begin = Date.parse('2026-11-01T12:00:00.000Z')

const made = (draft: Draft, at: number): CloudEvent => ({
  ...createEvent({ correlationid: correlation, ...draft }),
  time: new Date(begin + at).toISOString(),
})

const emitted = (task: string, version: number, ordinal: number, draft: Draft, at: number) =>
  made({ id: emitId(task, version, ordinal), source: '/agents/planner', ...draft }, at)

function turn(task: string, version: number, inputs: CloudEvent[], at: number, end?: Turn['end'], program = 'planner') {
  const data = {
    program,
    programVersion: 2,
    programHash: 'x',
    version,
    at: begin + at,
    inputs,
    emits: [],
    ...(end && { end }),
  }
  return made(
    { id: turnId(task, version), type: turnType, source: `/agents/${program}`, causationid: inputs.at(-1)!.id, data },
    at,
  )
}

const answerOf = (call: CloudEvent, type: string, data: unknown, at: number, id = resultId(call.id)) =>
  made({ id, type, source: `/tools/${call.target}`, causationid: call.id, call: call.id, data }, at)

/** A planner that asks a model, then a tool that comes too late, then a researcher. */
function story() {
  const asked = made({ id: 'q1', type: 'question.asked', data: { text: 'Why?' } }, 0)
  const task = taskId(correlation, 'planner', asked.id)
  const model = emitted(
    task,
    1,
    0,
    { type: 'model.invoke', target: 'm', replyto: 'planner', causationid: 'q1', data: {} },
    5,
  )
  const said = answerOf(
    model,
    'model.result',
    { usage: { input: 30, output: 12 }, cost: 0.5, toolCalls: [], text: '' },
    25,
  )
  const slow = emitted(
    task,
    2,
    0,
    { type: 'tool.invoke', target: 'web.slow', replyto: 'planner', causationid: said.id, data: { input: 1 } },
    30,
  )
  const expired = answerOf(
    slow,
    'call.expired',
    { error: { code: 'E_CALL_EXPIRED', message: 'nobody' } },
    1_030,
    `${slow.id}:expired`,
  )
  const withdrawn = emitted(
    task,
    3,
    0,
    { id: cancelId(slow.id), type: 'call.cancelled', target: 'web.slow', causationid: expired.id, data: null },
    1_030,
  )
  const child = emitted(
    task,
    3,
    1,
    { type: 'agent.invoke', target: 'researcher', replyto: 'planner', causationid: expired.id, data: { input: 'x' } },
    1_030,
  )
  const late = answerOf(slow, 'tool.result', { output: 1 }, 1_500)
  const childTask = taskId(correlation, 'researcher', child.id)
  const failed = emitted(
    childTask,
    1,
    0,
    {
      type: 'agent.task.failed',
      call: child.id,
      target: 'planner',
      causationid: child.id,
      data: { program: 'researcher', error: { code: 'E_X', message: 'no luck' } },
    },
    1_100,
  )
  const done = emitted(
    task,
    4,
    0,
    { type: 'agent.task.completed', causationid: failed.id, data: { program: 'planner', output: 'so' } },
    1_110,
  )
  return [
    asked, turn(task, 1, [asked], 5), model, said, turn(task, 2, [said], 30), slow, turn(task, 3, [expired], 1_030), expired,
    withdrawn, child, turn(childTask, 1, [child], 1_100, 'failed', 'researcher'), failed, turn(task, 4, [failed], 1_110, 'completed'), done, late,
  ] // biome-ignore format: one list
}

const drawn = (trace: Trace, width = 100) => render(trace, width).map(stripVTControlCharacters).join('\n')

describe('a trace', () => {
  test('folds turns into tasks, pairs calls with answers, and marks what failed, expired and came late', () => {
    const { nodes, tasks, spent } = buildTraceTree(story())
    expect(tasks).toEqual([])
    expect(nodes.map(node => node.event.type)).toEqual(['question.asked'])
    const [planner] = nodes[0]!.tasks
    expect(planner).toMatchObject({ program: 'planner', programVersion: 2, turns: { length: 4 } })
    expect(taskOutcome(planner!)).toEqual({ status: 'completed', ms: 1_105 })
    expect(planner!.nodes.map(requestOutcome)).toEqual([
      { status: 'answered', ms: 20 },
      { status: 'expired', ms: 1_000, problem: 'E_CALL_EXPIRED: nobody' },
      { status: 'failed', ms: 70, problem: 'E_X: no luck' },
      undefined,
    ])
    expect(planner!.nodes.map(node => node.by!.turn)).toEqual([1, 2, 3, 4])
    expect(planner!.nodes[1]!.answers.map(answer => answer.verdict)).toEqual(['taken', 'late'])
    expect(planner!.nodes[1]!.cancellation?.type).toBe('call.cancelled')
    expect(planner!.nodes[2]!.tasks.map(task => task.program)).toEqual(['researcher'])
    expect(spent).toEqual({ tokens: 42, cost: 0.5 })
  })

  test('is drawn', () => {
    expect(drawn(buildTraceTree(story()))).toMatchInlineSnapshot(`
      "question.asked                         q1         /  {"text":"Why?"}
      └─ agent planner v2       ✔     1.1 s  c5kxu1     4 turns, 42 tokens, cost 0.500  so
         ├─ model m             ✔     20 ms  c5kxu1:1:0 turn 1  42 tokens, cost 0.500
         ├─ tool web.slow       ⧗     1.0 s  c5kxu1:2:0 turn 2  expired  E_CALL_EXPIRED: nobody  1
         │    tool.result       ⧖     1.4 s  c5kxu1:2:0:result late: the caller no longer waited for it
         └─ agent researcher v2 ✖     70 ms  2tk83q     E_X: no luck  1 turn

      1.5 s · 15 events · 2 tasks · 3 calls · 42 tokens · cost 0.500"
    `)
  })

  test('of something under way says what it waits for', () => {
    const log = story().slice(0, 6)
    const [planner] = buildTraceTree(log).nodes[0]!.tasks
    expect(taskOutcome(planner!).status).toBe('running')
    expect(planner!.nodes.map(node => requestOutcome(node)?.status)).toEqual(['answered', 'waiting'])
  })

  test('of a log whose beginning was purged keeps the rest', () => {
    const log = story().slice(4)
    const { nodes, tasks } = buildTraceTree(log)
    expect(tasks.map(task => task.program)).toEqual(['planner'])
    expect(nodes).toEqual([])
    expect(tasks[0]!.nodes).toHaveLength(3)
  })

  test('says where a redrive or a fork begins, and what it is of', () => {
    const replay = 'fork/f-1'
    const log = story().map(event => (event.id === 'q1' ? event : { ...event, replay }))
    const marks = (trace: Trace) =>
      drawn(trace)
        .split('\n')
        .filter(line => line.includes('[fork'))
    expect(marks({ ...buildTraceTree(log), replays: new Map([[replay, 'fork of x@3']]) })).toEqual([
      expect.stringMatching(/^└─ agent planner v2 .* \[fork of x@3\] {2}4 turns/),
    ])
    expect(marks(buildTraceTree(log))).toEqual([expect.stringContaining('[fork/f-1]')])
    expect(marks(buildTraceTree(story()))).toEqual([])
  })

  test('fits into the terminal whatever is in it', () => {
    const events = [
      ...story(),
      made({ id: 'w', type: 'x.y', source: `/${'長'.repeat(80)}`, data: '\u001b[2J\u202e'.repeat(50) }, 9),
    ]
    for (const line of render(buildTraceTree(events), 80)) {
      expect(stripVTControlCharacters(line)).not.toMatch(/[\u0000-\u001f\u202e]/)
      expect(displayWidth(stripVTControlCharacters(line))).toBeLessThanOrEqual(80)
    }
  })

  test('has records for programs, parents first', () => {
    const seen = new Set<unknown>()
    for (const record of traceRecords(buildTraceTree(story()))) {
      if (record.parent !== undefined) expect(seen).toContain(record.parent)
      seen.add(record.id)
    }
    expect(seen).toContain('q1')
  })
})

/** Every id in the tree. Throws where the tree goes on for longer than there are events and tasks. */
function idsIn(trace: Trace, limit: number): string[] {
  const ids: string[] = []
  const branches: Branch[] = [trace]
  for (let branch = branches.pop(), steps = 0; branch; branch = branches.pop()) {
    if (++steps > limit) throw new Error('the tree has a loop')
    for (const { event, answers, cancellation } of branch.nodes)
      ids.push(event.id, ...answers.map(answer => answer.event.id), ...(cancellation ? [cancellation.id] : []))
    for (const task of branch.tasks) ids.push(...task.turns.map(({ id }) => id))
    branches.push(...branch.nodes, ...branch.tasks)
  }
  return ids
}

const whole = (events: readonly CloudEvent[]) => {
  const trace = buildTraceTree(events)
  const ids = new Set(events.map(({ id }) => id))
  expect(idsIn(trace, 2 * events.length + 1).toSorted()).toEqual([...ids].toSorted())
  expect(render(trace, 80).length).toBeGreaterThan(0)
  expect([...traceRecords(trace)].at(-1)).toMatchObject({ kind: 'total', events: ids.size })
}

const tasks = ['a', 'b'].map(program => taskId(correlation, program, 'e0'))
const someTask = fc.constantFrom(...tasks)
const someId = fc.oneof(
  fc.integer({ min: 0, max: 5 }).map(n => `e${n}`),
  fc.tuple(someTask, fc.integer({ min: 1, max: 3 })).map(([task, version]) => turnId(task, version)),
  fc
    .tuple(
      someTask,
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 2 }),
      fc.constantFrom('', ':result', ':expired', ':cancel', ':claim'),
    )
    .map(([task, version, ordinal, suffix]) => emitId(task, version, ordinal) + suffix),
)
const someType = fc.constantFrom(
  turnType,
  'agent.invoke',
  'tool.invoke',
  'tool.result',
  'tool.failed',
  'model.result',
  'call.cancelled',
  'agent.task.completed',
  'agent.cancel',
  'order.paid',
)
const someData = fc.oneof(
  fc.constant(null),
  fc.jsonValue(),
  fc.record({
    program: fc.constantFrom('a', 'b'),
    programVersion: fc.nat(3),
    version: fc.nat(3),
    at: fc.nat(),
    inputs: fc.array(fc.record({ id: someId, call: fc.option(someId, { nil: undefined }) }), { maxLength: 2 }),
    emits: fc.constant([]),
    end: fc.option(fc.constantFrom('completed', 'failed'), { nil: undefined }),
  }),
)
const anything = fc
  .record({
    id: someId,
    type: someType,
    call: fc.option(someId),
    causationid: fc.option(someId),
    target: fc.option(fc.constantFrom('a', 'b')),
    data: someData,
    at: fc.nat(5_000),
  })
  .map(({ id, type, call, causationid, target, data, at }) =>
    made({ id, type, data, ...(call && { call }), ...(causationid && { causationid }), ...(target && { target }) }, at),
  )

describe('of rows', () => {
  const linesOf = (events: readonly CloudEvent[]) => render(buildTraceTree(events), 120)

  test('is the same as of the events, and smaller', () => {
    const rows = story().map(slim)
    expect(linesOf(rows)).toEqual(linesOf(story()))
    expect(rows.map(slim)).toEqual(rows)
    const long = made({ id: 'long', type: 'x.y', data: { text: 'x'.repeat(9_000), more: ['長'] } }, 1)
    expect(slim(long)).toMatchObject({
      data: null,
      summary: expect.stringMatching(/^.{159}…$/),
      bytes: Buffer.byteLength(JSON.stringify(long.data)),
    })
    expect(slim({ ...long, data: null, dataref: 'sha256-x' })).not.toHaveProperty('bytes')
  })

  test('is the same for any events at all', () => {
    const same = (events: readonly CloudEvent[]) => {
      expect(linesOf(events.map(slim))).toEqual(linesOf(events))
    }
    fc.assert(fc.property(fc.array(anything, { maxLength: 30 }), same), { numRuns: 500 })
  })
})

describe('without loss and without loops', () => {
  test('any part of a log, in any order', () => {
    fc.assert(fc.property(fc.shuffledSubarray(story()), whole), { numRuns: 500 })
  })

  test('any events at all, with any causes, calls and turns', () => {
    fc.assert(fc.property(fc.array(anything, { maxLength: 30 }), whole), { numRuns: 1_000 })
  })

  test('more effects of one event than a call may have arguments', () => {
    const node = (nodes: TraceNode[]): TraceNode => ({ kind: 'node', event: made({ type: 'x.y', data: null }, 0), answers: [], nodes, tasks: [] }) // biome-ignore format: one line
    const effect = node([])
    const trace = { ...buildTraceTree([]), nodes: [node(Array.from({ length: 140_000 }, () => effect))] }
    expect([...walkTrace(trace)]).toHaveLength(140_001)
  })

  test('a chain of causes that is longer than any stack', () => {
    const chain = Array.from({ length: 20_000 }, (_, n) =>
      made({ id: `c${n}`, type: 'x.y', data: null, ...(n > 0 && { causationid: `c${n - 1}` }) }, n),
    )
    whole(chain)
  })
})
