import { randomUUIDv7 } from 'node:crypto'
import fc from 'fast-check'
import { cancelId, correlationOf, emitId } from '../../bus/ids.ts'
import type { Delivery, Driver, DeliveryOutcome, EncodedEvent } from '../../bus/driver.ts'
import { until } from '../wait.ts'
import { discard, done, emitted, entry, hour, input, newTask, park, retry, turn } from './entries.ts'
import { worker, type World } from './world.ts'

/* A random history of a log: what groups did with deliveries, turns of tasks, documents. It is told from the log itself how it ended. */

const outcomes = ['done', 'retry', 'memo', 'park', 'key', 'discard', 'hold'] as const
type JobOutcome = (typeof outcomes)[number]

interface PlannedTurn {
  readonly emits: number
  readonly snapshot: boolean
  readonly wake: boolean
  readonly cancels: boolean
}

interface PlannedTask {
  readonly turns: readonly PlannedTurn[]
  readonly ends: boolean
}

export interface LogHistory {
  readonly jobs: readonly { readonly correlation: number; readonly outcome: JobOutcome }[]
  /** Published when the members have gone. */
  readonly backlog: readonly number[]
  readonly tasks: readonly PlannedTask[]
}

const correlation = fc.nat(3)
const turns = fc.array(
  fc.record({ emits: fc.nat(2), snapshot: fc.boolean(), wake: fc.boolean(), cancels: fc.boolean() }),
  { minLength: 1, maxLength: 4 },
)

export const anyHistory: fc.Arbitrary<LogHistory> = fc.record({
  jobs: fc.array(fc.record({ correlation, outcome: fc.constantFrom(...outcomes) }), { minLength: 8, maxLength: 20 }),
  backlog: fc.array(correlation, { maxLength: 6 }),
  tasks: fc.array(fc.record({ turns, ends: fc.boolean() }), { minLength: 2, maxLength: 4 }),
})

/** What a worker must find on the log, wherever that is now. */
export interface LogExpectation {
  /** Events that group `jobs` gets, with the attempt, in order within each correlation. */
  readonly jobs: readonly { readonly id: string; readonly attempt: number }[]
  /** Delayed by an hour, with what the retry left. */
  readonly delayed: readonly { readonly id: string; readonly memo: string | undefined }[]
  readonly liveTasks: readonly { readonly task: string; readonly version: number; readonly wake: number | null }[]
  readonly endedTasks: readonly string[]
  readonly claim: { readonly request: EncodedEvent; readonly entry: EncodedEvent }
}

const outcomeOf = (outcome: JobOutcome): DeliveryOutcome | undefined =>
  ({
    done,
    retry: retry(hour),
    memo: { ...retry(hour), memo: 'attempt 1' } as DeliveryOutcome,
    park: park('later'),
    key: park('later', 'paused/tool/a'),
    discard: discard('never'),
    hold: undefined,
  })[outcome]

/** Makes a history happen. Afterwards the log has no members. */
export async function live(world: World, driver: Driver, history: LogHistory): Promise<LogExpectation> {
  const correlations = Array.from({ length: 4 }, () => randomUUIDv7())
  const job = (of: number, outcome?: JobOutcome) => entry({ correlationid: correlations[of]!, data: { outcome } })
  const published = history.jobs.map(({ correlation: of, outcome }) => ({ outcome, entry: job(of, outcome) }))
  const member = await world.join(driver, {
    maxInFlight: 64,
    on: ({ event }) => outcomeOf((event.data as { outcome: JobOutcome }).outcome),
  })
  for (const each of published) await driver.publish([each.entry])
  await until(() => member.deliveries.length === published.length, { what: 'all jobs' })
  const claim = await claimFor(driver, member.deliveries)
  const { liveTasks, endedTasks } = await runTasks(world, driver, history.tasks)
  await driver.putDocument('plain', 'text', 0)
  await driver.putDocument('with/parts', '{"n":1}', 0)
  await driver.putDocument('for a time', 'text', 0, hour)
  await driver.createGroup({ group: 'idle', mode: 'shared', filter: [{ types: ['job.>'] }], from: 'beginning' })
  await world.close(driver)
  const writer = await world.open()
  const backlog = history.backlog.map(of => job(of))
  for (const each of backlog) await writer.publish([each])
  await world.close(writer)
  const with_ = (...kinds: JobOutcome[]) => published.filter(({ outcome }) => kinds.includes(outcome))
  return {
    jobs: [
      ...with_('hold').map(each => ({ id: each.entry.event.id, attempt: 2 })),
      ...backlog.map(each => ({ id: each.event.id, attempt: 1 })),
    ],
    delayed: with_('retry', 'memo').map(each => ({
      id: each.entry.event.id,
      memo: each.outcome === 'memo' ? 'attempt 1' : undefined,
    })),
    liveTasks,
    endedTasks,
    claim,
  }
}

const cancelled = (task: string, version: number) =>
  entry({ id: cancelId(emitId(task, version, 0)), type: 'call.cancelled', correlationid: correlationOf(task) })

async function claimFor(driver: Driver, deliveries: readonly Delivery[]): Promise<LogExpectation['claim']> {
  const [delivery] = deliveries
  const { event } = delivery!
  const claimed = entry({ id: `claim/${event.id}`, type: 'tool.claimed', correlationid: event.correlationid })
  await driver.claim(delivery!, claimed)
  return { request: { event, json: JSON.stringify(event) }, entry: claimed }
}

async function runTasks(world: World, driver: Driver, tasks: readonly PlannedTask[]) {
  const owner = await world.join(driver, {
    ...worker,
    on: ({ event }) => ((event.data as { held?: boolean }).held ? undefined : done),
  })
  const liveTasks: LogExpectation['liveTasks'][number][] = []
  const endedTasks: string[] = []
  let inputs = 0
  for (const { turns: planned, ends } of tasks) {
    const task = newTask()
    for (const each of [input(task), input(task, { data: { held: true } })]) {
      await driver.publish([each])
      inputs++
    }
    for (const [i, each] of planned.entries()) {
      const isLast = i === planned.length - 1
      const wake = each.wake && !(ends && isLast) ? world.clock.now() + 24 * hour : null
      const events = Array.from({ length: each.emits }, (_, n) => emitted(task, i + 1, n, { type: 'work.made' }))
      if (each.cancels && i > 0) events.push(cancelled(task, i))
      const commit = turn(task, i, {
        events,
        wake,
        ...(each.snapshot && { snapshot: `state ${i + 1}` }),
        ...(ends && isLast && { end: true }),
      })
      if ((await driver.commit(commit)) !== 'accepted') throw new Error('conflict')
      if (isLast && !ends) liveTasks.push({ task, version: i + 1, wake })
    }
    if (ends) endedTasks.push(task)
  }
  await until(() => owner.deliveries.length === inputs, { what: 'all inputs' })
  return { liveTasks, endedTasks }
}
