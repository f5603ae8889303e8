import { once } from 'node:events'
import { expect, it, vi } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { parseId } from '../src/bus/ids.ts'
import type { CloudEvent } from '../src/event.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import { collect, until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { on, workflow, type Workflow } from '../src/index.ts'
import { launch, tidings } from './lib/cli.ts'
import { ask, eventsOf, onAnyBus, type World } from './lib/world.ts'

const any = z.any()
const taskOf = (event: CloudEvent) => parseId(event.id)!.task
const linesOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as Record<string, unknown>)

/** A tool that fails until it is told otherwise. */
function failing(name: string) {
  const state = { isDown: true, runs: 0 }
  const definition = tool(name, {
    description: '',
    input: any,
    run: () => {
      state.runs++
      if (state.isDown) throw new Error('down')
      return 'done'
    },
  })
  return { tool: definition, state }
}

async function all({ bus }: Pick<RunningApp, 'bus'>, type: string): Promise<CloudEvent[]> {
  return (await collect(bus.read({ filter: [{ types: [type] }] }))).map(({ event }) => event)
}

const attention = async (log: World) =>
  linesOf((await tidings(log.place, ['attention', '--json'])).stdout).filter(({ kind }) => kind === 'failed')

onAnyBus(world => {
  async function withFailures(tasks: number) {
    const log = await world()
    const down = failing('down')
    const buyer = agent('buyer', { on: 'goods.wanted', run: (ctx, what: string) => ctx.call(down.tool, what) })
    const worker = await log.worker({ use: [buyer, down.tool] })
    await worker.bus.publishAll(Array.from({ length: tasks }, (_, i) => ({ type: 'goods.wanted', data: `tea ${i}` })))
    await until(async () => (await all(worker, 'agent.task.failed')).length === tasks, { within: 30_000 })
    return { log, down, worker, failed: await all(worker, 'agent.task.failed') }
  }

  it('failed tasks are on the attention list until they are retried, discarded or too old', {
    timeout: 120_000,
  }, async () => {
    const { log, down, worker, failed } = await withFailures(3)
    const [first, second] = failed.map(taskOf)
    const listed = await attention(log)
    expect(listed.map(({ task }) => task)).toEqual(failed.map(taskOf).toReversed())
    expect(listed[0]).toMatchObject({
      program: 'buyer',
      code: 'E_TOOL_THREW',
      next: expect.arrayContaining([`tidings retry ${failed.map(taskOf).at(-1)}`]),
    })
    const { stdout } = await tidings(log.place, ['attention'])
    expect(stdout).toMatch(/failed {3}buyer E_TOOL_THREW, .*and 2 more like it/)
    expect(stdout).toContain('tidings retry --agent buyer --code E_TOOL_THREW')
    expect((await tidings(log.place, ['status'])).stdout).toContain('3 entries')

    down.state.isDown = false
    await tidings(log.place, ['retry', first!])
    expect((await tidings(log.place, ['attention', 'discard', second!])).code).toBe(0)
    expect((await attention(log)).map(({ task }) => task)).toEqual([taskOf(failed[2]!)])
    expect((await tidings(log.place, ['attention', 'discard', second!])).code).toBe(1)
    vi.stubEnv('TIDINGS_FAILED_FOR', '0s')
    expect(await attention(log)).toEqual([])
    vi.unstubAllEnvs()
    await until(async () => (await all(worker, 'agent.task.completed')).length === 1)
    const marks = linesOf((await tidings(log.place, ['trace', '--json'])).stdout)
    expect(failed.map(({ correlationid: id }) => marks.find(({ correlation }) => correlation === id)!.failed)).toEqual([
      0, 1, 1,
    ])
  })

  it('many are counted first, and each is retried once, even if the command is killed', {
    timeout: 60_000,
  }, async () => {
    const tasks = 60
    const { log, down, worker } = await withFailures(tasks)
    const filter = ['retry', '--agent', 'buyer', '--code', 'E_TOOL_THREW', '--since', '1h']
    const counted = await tidings(log.place, filter)
    expect(counted.code).toBe(0)
    expect(counted.stdout).toContain(`${tasks} failed tasks`)
    expect(counted.stdout).toContain('--yes')
    expect(await all(worker, 'agent.retry')).toEqual([])
    expect((await tidings(log.place, [...filter.slice(0, 3), '--code', 'E_OTHER'])).stdout).toBe(
      'No failed task matches.\n',
    )
    expect((await tidings(log.place, ['retry', '--code', 'E_TOL_THREW'])).stdout).toBe(
      'No failed task matches; did you mean "E_TOOL_THREW"?\n',
    )
    const misspelt = await tidings(log.place, ['retry', '--agent', 'byer'])
    expect(misspelt).toMatchObject({ code: 1, stderr: expect.stringContaining('did you mean "buyer"?') })

    down.state.isDown = false
    const child = launch(log.place, [...filter, '--yes', '--json'])
    const closed = once(child, 'close')
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await closed
    const { stdout, code } = await tidings(log.place, [...filter, '--yes', '--json'])
    expect(code).toBe(0)
    const total = linesOf(stdout).at(-1)!
    expect(total).toMatchObject({ refused: 0, callersAnswered: 0 })
    await until(async () => (await all(worker, 'agent.task.completed')).length === tasks, { within: 20_000 })
    const retries = await all(worker, 'agent.retry')
    expect(retries).toHaveLength(tasks)
    expect(new Set(retries.map(({ retryof }) => retryof)).size).toBe(tasks)
    expect(await attention(log)).toEqual([])
  })

  it('a task that is parked is resumed', async () => {
    const log = await world()
    const slow = tool('slow', { description: '', input: any, run: () => 'slow' })
    const other = tool('other', { description: '', input: any, run: () => 'other' })
    const buyer = (called: typeof slow) =>
      agent('buyer', {
        on: 'goods.wanted',
        run: (ctx, what: string) => ctx.call(called, what),
      })
    const before = await log.worker({ use: [buyer(slow), slow, other] }, { only: ['agents'] })
    const { correlationid } = await before.bus.publish({ type: 'goods.wanted', data: 'tea' })
    const turn = await until(async () =>
      (await eventsOf(before, correlationid)).find(({ type }) => type === 'task.turn'),
    )
    await log.stop()
    // The code does not fit any more: what comes for the task is parked.
    const wrong = await log.worker({ use: [buyer(other), slow, other] })
    await until(async () => (await collect(wrong.bus.driver.listDeferred())).some(({ state }) => state === 'parked'))
    await log.stop()
    const right = await log.worker({ use: [buyer(slow), slow, other] })
    const { stdout } = await tidings(log.place, ['retry', taskOf(turn), '--json'])
    expect(JSON.parse(stdout)).toMatchObject({ state: 'resumed', task: taskOf(turn), redelivered: 1 })
    const end = await until(async () =>
      (await eventsOf(right, correlationid)).find(({ type }) => type === 'agent.task.completed'),
    )
    expect(taskOf(end)).toBe(taskOf(turn))
  })

  it('an instance of a workflow continues where a call failed, unless it waits for events or has undone its steps', async () => {
    const log = await world()
    const [pay, post] = [failing('pay'), failing('post')]
    pay.state.isDown = false
    const back = tool('back', { description: '', input: any, run: () => null })
    const shop = (name: string) =>
      workflow(name, { on: `order.${name}`, within: '1h' }) as unknown as Workflow<any, never, unknown>
    const plain = shop('plain')
      .call('a', pay.tool, (s: any) => s.event)
      .call('b', post.tool, (s: any) => s.event)
      .complete((s: any) => s.b)
    const undone = shop('undone')
      .call('a', pay.tool, (s: any) => s.event, { undo: { target: back, input: (s: any) => s.a } })
      .call('b', post.tool, (s: any) => s.event)
      .complete((s: any) => s.b)
    const waiting = shop('waiting')
      .call('b', post.tool, (s: any) => s.event)
      .when('c', on('order.sent'), { within: '1h' })
      .complete((s: any) => s.b)
    const worker = await log.worker({ use: [plain, undone, waiting, pay.tool, post.tool, back] })
    const first = await ask(worker, { type: 'order.plain', data: { id: 1 } })
    const second = await ask(worker, { type: 'order.undone', data: { id: 2 } })
    const third = await ask(worker, { type: 'order.waiting', data: { id: 3 } })
    for (const { type } of [first, second, third]) expect(type).toBe('agent.task.failed')
    post.state.isDown = false
    const runs = pay.state.runs
    const { stdout } = await tidings(log.place, ['retry', taskOf(first), '--json'])
    const { task } = JSON.parse(stdout) as { task: string }
    const end = await until(async () =>
      (await eventsOf(worker, first.correlationid)).find(
        ({ id, type }) => id.startsWith(task) && type === 'agent.task.completed',
      ),
    )
    expect(end.data).toMatchObject({ output: 'done' })
    expect(pay.state.runs).toBe(runs)
    const refused = await tidings(log.place, ['retry', taskOf(second)])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('has undone its effects')
    expect(refused.stderr).toContain('E_RETRY_REFUSED')
    expect((await tidings(log.place, ['retry', taskOf(third)])).stderr).toContain('may still wait for order.sent')
  })
})
