import { randomUUID, randomUUIDv7 } from 'node:crypto'
import fc from 'fast-check'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import { Bus } from '../../src/bus/bus.ts'
import type { Driver } from '../../src/bus/driver.ts'
import { taskId } from '../../src/bus/ids.ts'
import { Pauses } from '../../src/bus/pauses.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import type { CloudEvent, Draft } from '../../src/event.ts'
import { defaultBudget } from '../../src/tasks/budget.ts'
import { Engine } from '../../src/tasks/engine.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { disordered } from '../lib/disordered.ts'
import { eventsOf, onAnyBus } from '../lib/world.ts'

const sleeper = agent('sleeper', {
  async run(ctx) {
    await ctx.sleep('1h')
    return 'slept'
  },
})

/** The start of a task that somebody waits for, and the cancellation of it. */
function request() {
  const [id, correlationid] = [`ask-${randomUUID()}`, randomUUIDv7()]
  const task = taskId(correlationid, 'sleeper', id)
  const start = { type: 'agent.invoke', id, correlationid, target: 'sleeper', replyto: 'caller', data: { input: null } }
  const cancel = { type: 'agent.cancel', correlationid, target: 'sleeper', subject: task, data: { reason: 'enough' } }
  return { id, correlationid, start: start as Draft, cancel: cancel as Draft }
}

const answersTo = (events: readonly CloudEvent[], id: string) => events.filter(({ call }) => call === id)

onAnyBus(world => {
  it('a task that is cancelled while its start is parked never begins, and its caller gets the answer', async () => {
    const worker = await (await world()).worker({ use: [sleeper] })
    const { id, correlationid, start, cancel } = request()
    await worker.pauses.set('agent', 'sleeper', true)
    await worker.bus.publish(start)
    await until(async () => (await collect(worker.bus.driver.listDeferred())).some(({ state }) => state === 'parked'))
    await worker.bus.publish(cancel)
    await until(async () => (await eventsOf(worker, correlationid)).some(({ type }) => type === 'agent.task.cancelled'))
    await worker.pauses.set('agent', 'sleeper', false)
    await until(async () => answersTo(await eventsOf(worker, correlationid), id).length > 0)
    const events = await eventsOf(worker, correlationid)
    expect(answersTo(events, id)).toMatchObject([{ type: 'agent.task.cancelled', target: 'caller' }])
    expect(events.filter(({ type }) => type === 'timer.set')).toEqual([])
  })

  it('a cancellation that comes before the start is kept over a restart', async () => {
    const log = await world()
    const first = await log.worker({ use: [sleeper] })
    const { id, correlationid, start, cancel } = request()
    await first.bus.publish(cancel)
    await until(async () => (await eventsOf(first, correlationid)).some(({ type }) => type === 'task.turn'))
    await log.stop()
    const second = await log.worker({ use: [sleeper] })
    await second.bus.publish(start)
    await until(async () => answersTo(await eventsOf(second, correlationid), id).length > 0)
    expect(answersTo(await eventsOf(second, correlationid), id)).toMatchObject([{ type: 'agent.task.cancelled' }])
    expect(await collect(second.bus.driver.listDeferred())).toEqual([])
  })

  it('a cancellation of a task of another correlation has no effect', async () => {
    const worker = await (await world()).worker({ use: [sleeper] })
    const { correlationid, cancel } = request()
    const elsewhere = randomUUIDv7()
    await worker.bus.publish({ ...cancel, correlationid: elsewhere })
    await worker.bus.publish({ ...cancel, correlationid: elsewhere, subject: 'nobody' })
    await until(async () => (await worker.bus.driver.listGroups()).every(({ lag }) => lag === 0))
    for (const correlation of [correlationid, elsewhere])
      expect((await eventsOf(worker, correlation)).filter(({ type }) => type !== 'agent.cancel')).toEqual([])
    expect(await collect(worker.bus.driver.listDeferred())).toEqual([])
  })
})

/** The order in which start and cancellation are published, and during which of them the agent is paused. */
const order = fc.record({ cancelFirst: fc.boolean(), paused: fc.constantFrom('never', 'both', 'first', 'second') })
/** A copy of what is parked would settle it. */
const unpaused = order.map(each => ({ ...each, paused: 'never' }))

function shuffled(open: (home: string) => Promise<Driver>, copies: number) {
  it(`start and cancellation, in any order, ${copies} times, end in a cancelled task and an answer`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(copies === 1 ? order : unpaused, { minLength: 10, maxLength: 20 }),
        fc.array(fc.nat(12), { minLength: 20, maxLength: 40 }),
        async (orders, delays) => {
          const home = await mkdtemp(join(tmpdir(), 'tidings-cancel-'))
          let i = 0
          const driver = disordered(await open(home), copies, () => delays[i++ % delays.length]!)
          const bus = new Bus(driver)
          const pauses = new Pauses(bus)
          const programs = [sleeper.definition]
          const engine = new Engine({ bus, group: 'app/cancel', programs, maxHops: 4, budget: defaultBudget, pauses })
          try {
            await engine.start()
            const asked = orders.map(request)
            for (const [n, { cancelFirst, paused }] of orders.entries()) {
              const { start, cancel } = asked[n]!
              const [first, second] = cancelFirst ? [cancel, start] : [start, cancel]
              await pauses.set('agent', 'sleeper', paused === 'both' || paused === 'first')
              await bus.publish(first)
              if (paused !== 'both') await pauses.set('agent', 'sleeper', paused === 'second')
              await bus.publish(second)
            }
            await pauses.set('agent', 'sleeper', false)
            for (const { id, correlationid } of asked) {
              const answers = await until(async () => {
                // What was about to be parked when the agent was resumed is released by a later look.
                await pauses.set('agent', 'sleeper', false)
                const found = answersTo(await eventsOf({ bus }, correlationid), id)
                return found.length > 0 && found
              })
              expect(answers.map(({ type }) => type)).toEqual(['agent.task.cancelled'])
              const events = await eventsOf({ bus }, correlationid)
              expect(events.filter(({ type }) => type === 'task.turn').length).toBeLessThanOrEqual(2)
            }
            await until(async () => (await collect(driver.listDeferred())).length === 0)
          } finally {
            await engine.stop()
            await driver.close()
            await rm(home, { recursive: true, force: true })
          }
        },
      ),
      { numRuns: 5, endOnFailure: true },
    )
  })
}

describe('on sqlite', () => {
  for (const copies of [1, 3]) shuffled(home => openSqlite({ home }), copies)
})
describeNats('on nats', () => {
  for (const copies of [1, 3]) shuffled(() => openNats({ url: `${natsUrl()}/cancel-${randomUUID()}` }), copies)
})
