import { readFile } from 'node:fs/promises'
import { describe, expect, it, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import example from '../../examples/waits/app.ts'
import { agent, type Agent } from '../../src/agents/agent.ts'
import { log } from '../../src/bus/telemetry/log.ts'
import { event } from '../../src/event.ts'
import { resolveEffects } from '../../src/replay/effects.ts'
import { planFork, publishFork } from '../../src/replay/fork.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import { sourceFromBus } from '../../src/replay/source.ts'
import { Programs } from '../../src/tasks/programs.ts'
import type { ScriptContext } from '../../src/tasks/script-context.ts'
import { app } from '../../src/runtime/app.ts'
import { start } from '../../src/runtime/start.ts'
import { MemoryDriver } from '../../src/testing/memory/driver.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { readTaskState } from '../../src/tasks/task-state.ts'
import { arrives, given } from '../../src/testing/given.ts'
import { until } from '../../src/testing/wait.ts'
import { ask, ended, eventsOf, onAnyBus } from '../lib/world.ts'
import { tidings } from '../lib/cli.ts'

const output = ({ data }: { data: unknown }) => (data as { output: unknown }).output
const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))

const clerk = agent('clerk', {
  on: 'order.placed',
  waitsFor: [paid, 'order.left'],
  async run(ctx, { order }: { order: string }) {
    ctx.state.phase = 'waiting'
    ctx.log.info('waits', { order })
    const payment = await ctx.waitFor(paid, { where: each => each.order === order })
    ctx.state.phase = 'paid'
    const left = await ctx.waitFor('order.left', { within: '1h' })
    return { amount: payment?.amount, left }
  },
})

onAnyBus(world => {
  async function started() {
    const log = await world()
    const worker = await log.worker({ use: [clerk] })
    const { id, correlationid } = await worker.bus.publish({ type: 'order.placed', data: { order: 'A' } })
    await until(async () => (await eventsOf(worker, correlationid)).some(({ type }) => type === 'task.awaits'))
    const publish = (type: string, data: unknown) => worker.bus.publish({ type, data, correlationid })
    return { log, worker, id, correlationid, publish }
  }

  it('a wait ends with the event of its correlation that matches, and the task survives its worker', async () => {
    const { log, worker, id, correlationid, publish } = await started()
    await publish('order.paid', { order: 'B', amount: 1 })
    await worker.bus.publish({ type: 'order.paid', data: { order: 'A', amount: 2 } })
    await worker.stop()
    const next = await log.worker({ use: [clerk] })
    await next.bus.publishAll([
      { type: 'order.left', data: 'early', correlationid },
      { type: 'order.paid', data: { order: 'A', amount: 3 }, correlationid },
    ])
    expect(output(await ended(next, correlationid, id))).toEqual({ amount: 3, left: 'early' })
    const replay = new Replayer(new Programs([clerk.definition]))
    for await (const { position, event } of sourceFromBus(next.bus, { correlation: correlationid }).events())
      await replay.add(position, event)
    expect(replay.finish()).toMatchObject({ tasks: 1, divergences: [] })
  })

  it('a wait that a fork repeats ends with an event of the fork', async () => {
    const { worker, correlationid } = await started()
    const turn = (await eventsOf(worker, correlationid)).find(({ type }) => type === 'task.turn')!
    const from = { task: turn.id.split(':')[0]!, version: 2 }
    const plan = await planFork(worker.bus, from)
    const forked = await publishFork(
      worker.bus,
      plan,
      'fork',
      resolveEffects([], { effects: new Map(), stubs: new Map() }),
    )
    const copies = () => eventsOf(worker, forked.correlation)
    await until(async () => (await copies()).some(({ type }) => type === 'task.awaits'))
    const data = { order: 'A', amount: 4 }
    await worker.bus.publish({ type: 'order.paid', data, correlationid: forked.correlation })
    await until(async () => (await copies()).filter(({ type }) => type === 'task.awaits').length === 2)
    const newest = (await copies()).findLast(({ type }) => type === 'task.turn')!
    const [wait] = (await copies()).filter(({ type }) => type === 'task.awaits')
    expect(newest.data).toMatchObject({ withdrawn: [wait!.id], state: { phase: 'paid' } })
  })

  it('a wait that no event ends gives undefined at its deadline', async () => {
    const short = agent('short', {
      on: 'order.placed',
      waitsFor: [paid],
      run: async ctx => ({ payment: (await ctx.waitFor(paid, { within: 50 })) ?? 'none' }),
    })
    const worker = await (await world()).worker({ use: [short] })
    expect(output(await ask(worker, { type: 'order.placed', data: null }))).toEqual({ payment: 'none' })
  })

  it('the state of a task is read without its code, and listed', async () => {
    const { log, worker, correlationid } = await started()
    const turn = (await eventsOf(worker, correlationid)).find(({ type }) => type === 'task.turn')!
    const task = turn.id.split(':')[0]!
    await worker.stop()
    const other = await log.worker({ name: 'other', use: [] }, { only: [] })
    expect(await readTaskState(other.bus, task)).toMatchObject({ state: { phase: 'waiting' }, version: 1 })
    const { stdout } = await tidings(log.place, ['tasks'])
    expect(stdout).toContain('waits for order.paid  {"phase":"waiting"}')
  })
})

/** A worker on a log in memory. */
async function inMemory(subject: Agent<never, unknown>) {
  const options = { use: [subject], redact: { patterns: [{ name: 'password', match: /hunter\d/ }] } }
  const running = await start(app(options), { driver: new MemoryDriver(new MemoryLog()), only: ['agents'] })
  onTestFinished(() => running.stop())
  return running
}

test('a line of the log is written once, when its turn is accepted, redacted', async () => {
  const noted = agent('noted', {
    on: 'go',
    async run(ctx) {
      ctx.log.info('begins', { password: 'hunter2' })
      await ctx.sleep(1)
      ctx.log.info('ends')
    },
  })
  const running = await inMemory(noted)
  const lines: { agent?: string; text: string }[] = []
  const { info } = log
  Object.assign(log, { info: (fields: object, text: string) => lines.push({ ...fields, text }) })
  onTestFinished(() => void Object.assign(log, { info }))
  const { correlationid } = await ask(running, { type: 'go', data: null })
  const own = lines.filter(({ agent: name }) => name === 'noted')
  expect(own).toMatchObject([
    { text: 'begins', correlationid },
    { text: 'ends', correlationid },
  ])
  expect(JSON.stringify(own)).not.toContain('hunter2')
})

describe('refused is', () => {
  const failureOf = async (run: (ctx: ScriptContext) => unknown) => {
    const end = await ask(await inMemory(agent('failing', { on: 'go', run })), { type: 'go', data: null })
    return (end.data as { error: { message: string } }).error.message
  }

  test('a wait for a type that is not declared', async () =>
    expect(await failureOf(ctx => ctx.waitFor('order.paid'))).toContain('add it to waitsFor'))

  test('a state that is too large', async () =>
    expect(await failureOf(ctx => void (ctx.state.text = 'x'.repeat(2_000)))).toContain('the maximum is 1024'))

  test('a pattern among the types', () =>
    expect(() => agent('patterned', { waitsFor: ['order.*'], run: () => null })).toThrow('waitsFor'))
})

test('what handle.say sends reaches the code of that task alone, and handle.state shows what it does', async () => {
  const chat = agent('chat', {
    waitsFor: ['agent.message'],
    async run(ctx, name: string) {
      ctx.state.heard = 0
      const said = (await ctx.waitFor('agent.message', { within: '1m' })) as { message: string }
      ctx.state.heard = 1
      return `${name}: ${said.message}`
    },
  })
  const running = await inMemory(chat)
  const [first, second] = [await running.ask(chat, 'first'), await running.ask(chat, 'second')]
  await until(async () => (await first.state()) !== undefined && (await second.state()) !== undefined)
  await second.say('to second')
  expect(await second.result({ within: '10s' })).toBe('second: to second')
  expect([await first.state(), await second.state()]).toEqual([{ heard: 0 }, { heard: 1 }])
  await first.say('to first')
  expect(await first.result({ within: '10s' })).toBe('first: to first')
})

test('a scenario gives the events that a task waits for', async () => {
  const emitted = await given(clerk, { input: { order: 'A' } })
    .when(arrives('order.left', 'early'), arrives('order.paid', { order: 'A', amount: 2 }))
    .emitted()
  expect(emitted.map(output)).toEqual([{ amount: 2, left: 'early' }])
})

test('the example in docs/waits.md is a file, and it answers', async () => {
  const read = (file: string) => readFile(new URL(`../../${file}`, import.meta.url), 'utf8')
  const source = (await read('examples/waits/app.ts')).replace('../../src/index.ts', 'tidings')
  expect(await read('docs/waits.md')).toContain(source)
  const running = await start(example, { driver: new MemoryDriver(new MemoryLog()), only: ['agents'] })
  onTestFinished(() => running.stop())
  const { id, correlationid } = await running.bus.publish({ type: 'order.placed', data: { order: 'A', amount: 5 } })
  for (const amount of [4, 5])
    await running.bus.publish({ type: 'order.paid', data: { order: 'A', amount }, correlationid })
  expect(output(await ended(running, correlationid, id))).toBe('A is paid')
})
