import { randomUUID, randomUUIDv7 } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { Bus } from '../../src/bus/bus.ts'
import type { Driver } from '../../src/bus/driver.ts'
import { resultId, taskId } from '../../src/bus/ids.ts'
import { Pauses } from '../../src/bus/pauses.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { defaultBudget } from '../../src/tasks/budget.ts'
import { Engine } from '../../src/tasks/engine.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { eventsOf } from '../lib/world.ts'

/* A server that was restarted, or has just become leader, may not know yet what it stored: journals are empty at first. */

const add = tool('add', { description: 'Adds one.', input: z.object({ n: z.number() }), run: ({ n }) => n + 1 })
const waiter = agent('waiter', { run: ctx => ctx.call(add, { n: 1 }) })

/** The first `looks` journals that are read are empty, although there are turns. */
function lagging(driver: Driver, looks: number): Driver {
  let left = looks
  return new Proxy(driver, {
    get(target, name) {
      if (name === 'journal' && left-- > 0) return () => Promise.resolve({ records: [] })
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function work(driver: Driver): Promise<Engine> {
  const bus = new Bus(driver)
  const pauses = new Pauses(bus)
  const programs = [waiter.definition]
  const engine = new Engine({ bus, group: 'app/lagging', programs, maxHops: 4, budget: defaultBudget, pauses })
  await engine.start()
  onTestFinished(() => engine.stop())
  return engine
}

/** A task that waits for its tool, which nobody runs; its worker is gone, and the next one reads a journal that lags. */
async function waiting(open: () => Promise<Driver>) {
  const driver = await open()
  const bus = new Bus(driver)
  const engine = await work(driver)
  const correlationid = randomUUIDv7()
  const id = `ask-${randomUUID()}`
  await bus.publish({ type: 'agent.invoke', id, correlationid, target: 'waiter', data: { input: null } })
  const events = () => eventsOf({ bus }, correlationid)
  const call = await until(async () => (await events()).find(({ type }) => type === 'tool.invoke'))
  await engine.stop()
  await work(lagging(driver, 2))
  const end = () =>
    until(async () => (await events()).find(({ type }) => type.startsWith('agent.task.')), { within: 10_000 })
  return { bus, correlationid, task: taskId(correlationid, 'waiter', id), call, end }
}

function cases(open: () => Promise<Driver>) {
  it('a cancellation whose task has no journal at first ends the task', async () => {
    const { bus, correlationid, task, end } = await waiting(open)
    await bus.publish({
      type: 'agent.cancel',
      correlationid,
      target: 'waiter',
      subject: task,
      data: { reason: 'enough' },
    })
    expect(await end()).toMatchObject({ type: 'agent.task.cancelled' })
  })

  it('an answer whose task has no journal yet is applied later', async () => {
    const { bus, correlationid, call, end } = await waiting(open)
    const { id, replyto } = call
    const answer = { type: 'tool.result', id: resultId(id), call: id, correlationid, data: { output: 2 } }
    await bus.publish({ ...answer, ...(replyto !== undefined && { target: replyto }) })
    expect(await end()).toMatchObject({ type: 'agent.task.completed', data: { output: 2 } })
  })
}

describe('on sqlite', () =>
  cases(async () => {
    const home = await mkdtemp(join(tmpdir(), 'tidings-lagging-'))
    const driver = await openSqlite({ home })
    onTestFinished(async () => {
      await driver.close()
      await rm(home, { recursive: true })
    })
    return driver
  }))

describeNats('on nats', () =>
  cases(async () => {
    const driver = await openNats({ url: `${natsUrl()}/lagging-${randomUUID()}` })
    onTestFinished(() => driver.close())
    return driver
  }),
)
