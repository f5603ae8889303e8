import { expect, it } from 'vitest'
import { z } from 'zod'
import { tool } from '../tools/tool.ts'
import { happened, InstanceRun } from '../../test/lib/instance.ts'
import { toGraph } from './graph.ts'
import { mermaid } from './mermaid.ts'
import { absent, all, count, on, seq } from './patterns.ts'
import { above, is } from './refs.ts'
import { workflow } from './workflow.ts'

const work = tool('work', { description: '', input: z.any(), run: () => 1 })
const other = tool('other', { description: '', input: z.any(), run: () => 1 })

/** One of each kind of step. */
const flow = workflow('order', { on: 'begin', within: '30d' })
  .when(
    'goods',
    all(
      count(2, on('packed')),
      seq(
        on('paid').where(it => above(it.sum, 3)),
        absent(on('lost'), '1h'),
      ),
    ),
    {
      within: '2d',
      otherwise: late => late.emit('order.late', s => s.error.code),
    },
  )
  .parallel('facts', { weight: work, price: other }, () => ({ weight: 1, price: 2 }))
  .repeat('review', round => round.each('votes', () => [1, 2, 3], work), {
    until: s => is(s.votes, 'yes'),
    maxRounds: 2,
  })
  .choose(
    s => is(s.price, 7),
    dear => dear.approve('ann', s => s.price, { within: '1d', approvers: ['ann'] }),
    cheap => cheap.fail(() => 'too cheap'),
  )
  .wait('5m')
  .complete(() => 1)

const ids = (from: string) => flow.toGraph().edges.flatMap(edge => (edge.from === from ? [[edge.to, edge.label]] : []))

it('has a labelled node for each step', () => {
  const { workflow: name, version, nodes } = flow.toGraph()
  expect([name, version]).toEqual(['order', 1])
  expect(nodes.map(({ id, kind, label }) => `${id} | ${kind} | ${label}`)).toEqual([
    'event | when | event: begin',
    'goods | when | goods: all(2 × packed, seq(paid where it.sum > 3, no lost for 1h))',
    'goods/order.late | emit | emit order.late',
    'facts | parallel | weight: tool work, price: tool other',
    'review/votes | each | votes: each tool work',
    'review | repeat | until votes = "yes", at most 2 times',
    'choose | choose | price = 7?',
    'choose/ann | approve | ann: approve (ann)',
    'choose/fail | fail | fail',
    'wait | wait | wait 5m',
    'complete | complete | complete',
    'completed | end | completed',
    'failed | end | failed',
  ])
  expect(nodes.every(({ state }) => state === undefined)).toBe(true)
})

it('has an edge for each transition', () => {
  expect(ids('goods')).toEqual([
    ['goods/order.late', 'otherwise'],
    ['facts', undefined],
  ])
  expect(ids('goods/order.late')).toEqual([['facts', undefined]])
  expect(ids('review')).toEqual([
    ['review/votes', 'again'],
    ['choose', 'done'],
  ])
  expect(ids('choose')).toEqual([
    ['choose/ann', 'yes'],
    ['choose/fail', 'no'],
  ])
  expect(ids('choose/fail')).toEqual([['failed', undefined]])
  expect(ids('choose/ann')).toEqual([['wait', undefined]])
  expect(ids('complete')).toEqual([['completed', undefined]])
})

it('shows the state of each step of an instance, with its progress and the skipped branch', async () => {
  const run = new InstanceRun(flow)
  const states = () => {
    const { nodes } = toGraph(flow.data, run.state)
    return Object.fromEntries(nodes.map(({ id, state, progress }) => [id, progress ? `${state} ${progress}` : state]))
  }
  await run.turn(happened('begin'))
  await run.turn(happened('packed', 1))
  expect(states()).toMatchObject({ event: 'passed', goods: 'active 1 taken', facts: 'open', completed: 'open' })
  await run.turn(happened('packed', 2), happened('paid', { sum: 4 }))
  await run.wake()
  expect(states()).toMatchObject({ goods: 'passed', 'goods/order.late': 'skipped', facts: 'active 0 of 2' })
  await run.answer('other', 8)
  await run.answer('work', 1)
  await run.answer('work', 1)
  expect(states()).toMatchObject({ facts: 'passed', 'review/votes': 'active 1 of 3', review: 'open' })
  for (let votes = 0; votes < 5; votes++) await run.answer('work', 1)
  expect(run.isOver).toBe(true)
  expect(states()).toMatchObject({
    review: 'passed',
    choose: 'passed',
    'choose/ann': 'skipped',
    'choose/fail': 'passed',
    wait: 'skipped',
    completed: 'skipped',
    failed: 'reached',
  })
})

it('escapes all text in the drawing', () => {
  const text = mermaid(workflow('w', { on: 'begin', within: '1h' }).choose(s => is(s.event, '<b>"&'), b => b.wait(1)).toGraph()) // biome-ignore format: one flow
  expect(text).toContain('{"event = &quot;&lt;b&gt;\\&quot;&amp;&quot;?"}')
})
