import { randomUUID, randomUUIDv7 } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import { Bus } from '../../src/bus/bus.ts'
import type { Driver } from '../../src/bus/driver.ts'
import { parseId, taskId } from '../../src/bus/ids.ts'
import { Pauses } from '../../src/bus/pauses.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { defaultBudget } from '../../src/tasks/budget.ts'
import { Engine } from '../../src/tasks/engine.ts'
import type { Turn } from '../../src/tasks/program.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { intercepted } from '../lib/disordered.ts'
import { eventsOf, onAnyBus } from '../lib/world.ts'

/** Goes on as itself after a while, up to a link that only waits. */
const relay = agent('relay', {
  async run(ctx, { left }: { left: number }) {
    if (left === 0) await ctx.sleep('1h')
    await ctx.sleep(20)
    return ctx.continueAs({ left: left - 1 })
  },
})

/** The start of a chain, and the cancellation of its first task. */
function chain(left: number, more: object = {}) {
  const [id, correlationid] = [`ask-${randomUUID()}`, randomUUIDv7()]
  const subject = taskId(correlationid, 'relay', id)
  return {
    id,
    correlationid,
    start: {
      type: 'agent.invoke',
      id,
      correlationid,
      target: 'relay',
      replyto: 'caller',
      data: { input: { left } },
      ...more,
    },
    cancel: { type: 'agent.cancel', correlationid, target: 'relay', subject, data: { reason: 'enough' } },
  }
}

/** How the last task of a chain stands. */
async function standing(bus: Bus, correlation: string) {
  const turns = (await bus.driver.newestTurns(correlation)).map(event => ({ id: event.id, ...(event.data as Turn) }))
  return turns.filter(turn => turn.program === 'relay' && turn.end !== 'continued')
}

onAnyBus(world => {
  it('a chain ends when the call that began it expires', async () => {
    const caller = agent('caller', {
      on: 'go',
      run: ctx => ctx.call(relay, { left: 1_000 }, { within: 1_000 }).catch(error => error.code),
    })
    const { bus } = await (await world()).worker({ use: [caller, relay] })
    const { correlationid } = await bus.publish({ type: 'go', data: null })
    await until(async () => {
      const last = await standing(bus, correlationid)
      const links = (await eventsOf({ bus }, correlationid)).filter(({ type }) => type === 'agent.invoke')
      return links.length > 2 && last.length === 1 && last[0]!.end === 'cancelled'
    })
    const events = await eventsOf({ bus }, correlationid)
    const starts = events.filter(({ type }) => type === 'agent.invoke')
    expect(new Set(starts.map(({ deadline }) => deadline)).size).toBe(1)
    expect(starts[0]!.deadline).toBeDefined()
    expect(await collect(bus.driver.listDeferred())).toEqual([])
  })

  it('a cancellation of the first task reaches its live successor, also in another worker', async () => {
    const log = await world()
    const { id, correlationid, start, cancel } = chain(5)
    const first = await log.worker({ use: [relay] })
    await first.bus.publish(start)
    await until(async () => (await first.bus.driver.newestTurns(correlationid)).length === 6)
    await log.stop()
    const { bus } = await log.worker({ use: [relay] })
    await bus.publish(cancel)
    const answer = await until(async () =>
      (await eventsOf({ bus }, correlationid)).find(({ call, target }) => call === id && target === 'caller'),
    )
    expect(answer).toMatchObject({ type: 'agent.task.cancelled', target: 'caller', data: { reason: 'enough' } })
    expect(await standing(bus, correlationid)).toMatchObject([{ end: 'cancelled' }])
  })

  it('no successor starts after the deadline of the first start', async () => {
    const deadline = Date.now() + 400
    const { correlationid, start } = chain(1_000, { deadline: new Date(deadline).toISOString() })
    const { bus } = await (await world()).worker({ use: [relay] })
    await bus.publish(start)
    await until(async () => {
      if (Date.now() <= deadline || (await standing(bus, correlationid)).length > 0) return false
      const starts = (await eventsOf({ bus }, correlationid)).filter(({ type }) => type === 'agent.invoke')
      // The last start is settled, and has begun nothing.
      return (
        starts.length === (await bus.driver.newestTurns(correlationid)).length + 1 &&
        (await bus.driver.listGroups()).every(({ lag }) => lag === 0)
      )
    })
    expect(await collect(bus.driver.listDeferred())).toEqual([])
  })
})

function early(open: (home: string) => Promise<Driver>) {
  it('a cancellation reaches a task that has not had its first turn', async () => {
    const home = await mkdtemp(join(tmpdir(), 'tidings-chain-'))
    const held: (() => void)[] = []
    const driver = intercepted(await open(home), ({ event }, handOn) => {
      if (event.type === 'agent.invoke' && event.subject !== undefined) held.push(handOn)
      else handOn()
    })
    const bus = new Bus(driver)
    const programs = [relay.definition]
    const pauses = new Pauses(bus)
    const engine = new Engine({ bus, group: 'app/chain', programs, maxHops: 4, budget: defaultBudget, pauses })
    try {
      await engine.start()
      const { id, correlationid, start, cancel } = chain(1)
      await bus.publish(start)
      await until(() => held.length === 1)
      await bus.publish(cancel)
      await until(async () => (await standing(bus, correlationid)).length === 1)
      const [ended] = await standing(bus, correlationid)
      expect(ended).toMatchObject({ end: 'cancelled', version: 1 })
      expect(parseId(ended!.id)!.task).not.toBe(cancel.subject)
      held[0]!()
      const answer = await until(async () =>
        (await eventsOf({ bus }, correlationid)).find(({ call, target }) => call === id && target === 'caller'),
      )
      expect(answer).toMatchObject({ type: 'agent.task.cancelled', target: 'caller' })
    } finally {
      await engine.stop()
      await driver.close()
      await rm(home, { recursive: true, force: true })
    }
  })
}

describe('on sqlite', () => early(home => openSqlite({ home })))
describeNats('on nats', () => early(() => openNats({ url: `${natsUrl()}/chain-${randomUUID()}` })))
