import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, onTestFinished } from 'vitest'
import type { CloudEvent, Draft } from '../../src/event.ts'
import { app, type AppOptions } from '../../src/runtime/app.ts'
import { start, type RunningApp, type StartOptions } from '../../src/runtime/start.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNats, natsUrl } from './nats.ts'

/** One log, and the workers on it. All of it is gone after the test. */
export class World {
  /** Where a worker finds the log. */
  readonly place: { readonly home: string; readonly bus: string }
  readonly #running: RunningApp[] = []

  constructor(home: string, bus: string) {
    this.place = { home, bus }
  }

  /** Another worker on the same log: agents, tools and models, nothing that listens on a port. */
  async worker(options: AppOptions, more: StartOptions = {}): Promise<RunningApp> {
    const running = await start(app({ name: 'test', ...options }), {
      ...this.place,
      only: ['agents', 'tools', 'models'],
      ...more,
    })
    this.#running.push(running)
    return running
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map(running => running.stop()))
  }
}

/**
 * Runs the same tests on an embedded log and on a NATS server: for promises that a broker may break, such as who owns what, order, signals,
 * times and limits. `world` makes a log for the test that calls it.
 */
export function onEveryBus(body: (world: () => Promise<World>) => void): void {
  describe('on sqlite', () => body(embeddedWorld))
  describeNats('on nats', () => body(natsWorld))
}

/**
 * For what is decided above the log, which the conformance suite holds to one contract: an embedded log is enough. With TIDINGS_EVERY_BUS
 * (`npm run every-bus`) the same as `onEveryBus`.
 */
export function onAnyBus(body: (world: () => Promise<World>) => void): void {
  if (process.env.TIDINGS_EVERY_BUS) onEveryBus(body)
  else describe('on sqlite', () => body(embeddedWorld))
}

/** A log on a NATS server, within `describeNats`. */
export const natsWorld = (): Promise<World> => world(`${natsUrl()}/world-${randomUUID()}`)

/** An embedded log, for tests of what does not depend on the bus. */
export const embeddedWorld = (): Promise<World> => world('sqlite')

async function world(bus: string): Promise<World> {
  const created = new World(await mkdtemp(join(tmpdir(), 'tidings-test-')), bus)
  onTestFinished(async () => {
    await created.stop()
    await rm(created.place.home, { recursive: true, force: true })
  })
  return created
}

/** Publishes, and waits for the end of the task that this starts. */
export async function ask({ bus }: RunningApp, draft: Draft): Promise<CloudEvent> {
  const { correlationid, id } = await bus.publish(draft)
  return ended({ bus }, correlationid, id)
}

/** The end of the task that an event started. */
export async function ended(
  { bus }: Pick<RunningApp, 'bus'>,
  correlation: string,
  startedBy: string,
  within = 15_000,
): Promise<CloudEvent> {
  let task: string | undefined
  return until(
    async () => {
      for (const event of await eventsOf({ bus }, correlation)) {
        if (event.type === 'task.turn' && (event.data as { inputs: CloudEvent[] }).inputs[0]?.id === startedBy)
          task ??= event.id.split(':')[0]!
        if (task && event.id.startsWith(task) && /^agent\.task\.(completed|failed|cancelled)$/.test(event.type))
          return event
      }
      return undefined
    },
    { within },
  )
}

export async function eventsOf({ bus }: Pick<RunningApp, 'bus'>, correlation: string): Promise<CloudEvent[]> {
  const events: CloudEvent[] = []
  for await (const { event } of bus.read({ correlation })) events.push(event)
  return events
}

export const typesOf = (events: readonly CloudEvent[]) =>
  events.map(event => event.type).filter(type => type !== 'task.turn')
