import { agent } from '../../src/agents/agent.ts'
import { Bus } from '../../src/bus/bus.ts'
import { Pauses } from '../../src/bus/pauses.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import type { CloudEvent } from '../../src/event.ts'
import { defaultBudget } from '../../src/tasks/budget.ts'
import { Engine } from '../../src/tasks/engine.ts'
import type { TestClock } from '../../src/testing/clock.ts'
import { until } from '../../src/testing/wait.ts'

/*
 * Tasks that sleep, each for as long as it is told, in a worker that tells the time by a clock of the test. Leases are so long
 * that nothing is noticed only because somebody beats.
 */

const sleeper = agent('sleeper', {
  on: 'sleep',
  async run(ctx, { ms }: { ms: number }) {
    await ctx.sleep(ms)
    return 'awake'
  },
})

/** A timer that went off, as the log has it. */
export interface Fired {
  readonly due: number
  /** The moment of the turn that took it. */
  readonly at: number
}

export interface Sleepers {
  /** Starts a task and resolves, with its correlation, when it sleeps. */
  sleep(ms: number): Promise<string>
  /** What went off in the task of this correlation, in order. */
  fired(correlation: string): Promise<Fired[]>
  stop(): Promise<void>
}

export async function sleepers({ home, bus: at }: { home: string; bus: string }, clock: TestClock): Promise<Sleepers> {
  const opened =
    at === 'sqlite' ? await openSqlite({ home, clock, leaseMs: 600_000 }) : await openNats({ url: at, clock })
  const driver = Object.assign(opened, { now: clock.now })
  const bus = new Bus(driver)
  const engine = new Engine({
    bus,
    group: 'app/sleepers',
    programs: [sleeper.definition],
    maxHops: 8,
    budget: defaultBudget,
    pauses: new Pauses(bus),
  })
  await engine.start()
  const eventsOf = async (correlation: string) =>
    (await Array.fromAsync(bus.read({ correlation }))).map(({ event }) => event)
  return {
    async sleep(ms) {
      const { correlationid } = await bus.publish({ type: 'sleep', data: { ms } })
      await until(async () => (await eventsOf(correlationid)).some(({ type }) => type === 'timer.set'))
      return correlationid
    },
    async fired(correlation) {
      const turns = (await eventsOf(correlation)).filter(({ type }) => type === 'task.turn')
      return turns.flatMap(({ data }) => {
        const { at, inputs } = data as { at: number; inputs: CloudEvent<{ due: string }>[] }
        return inputs
          .filter(({ type }) => type === 'timer.fired')
          .map(input => ({ due: Date.parse(input.data.due), at }))
      })
    },
    async stop() {
      await engine.stop()
      await driver.close()
    },
  }
}
