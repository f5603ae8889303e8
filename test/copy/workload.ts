import { hash } from 'node:crypto'
import { z } from 'zod'
import { copyLog, type CopySummary } from '../../src/bus/copy/copy-log.ts'
import type { Driver } from '../../src/bus/driver.ts'
import type { CloudEvent } from '../../src/event.ts'
import { agent, app, by, on, all, start, tool, workflow, type RunningApp } from '../../src/index.ts'
import type { ApprovalRequest } from '../../src/tasks/approval.ts'
import { until } from '../../src/testing/wait.ts'
import { answerRequest } from '../lib/approvals.ts'

/*
 * Orders that stop at different places: at a tool that is tried again later, at a paused tool, at a person, at a timer, in the middle of a
 * workflow; with data that is too large for an event. What tools did is counted outside of every log.
 */

/** What ran, by tool and idempotency key. It stays when the log moves. */
export class Effects {
  readonly runs: string[] = []
  readonly #failed = new Set<string>()

  ran(what: string, key: string): void {
    this.runs.push(`${what} ${key}`)
  }

  /** True once for each key. */
  failsFirst(key: string): boolean {
    return this.#failed.size !== this.#failed.add(key).size
  }

  get twice(): string[] {
    return this.runs.filter((run, i) => this.runs.indexOf(run) !== i)
  }
}

const order = z.object({ n: z.number() })
const blobBytes = 20_000

/** An app on a log, without what listens on a port. */
export function startOrders(driver: Driver, effects: Effects, retryAfter = '1s' as const): Promise<RunningApp> {
  const count = tool('count', {
    description: 'Counts.',
    input: order,
    run: ({ n }, { idempotencyKey }) => {
      effects.ran('count', idempotencyKey)
      return n
    },
  })
  const report = tool('report', {
    description: 'Answers with more than fits into an event.',
    input: order,
    run: ({ n }, { idempotencyKey }) => {
      effects.ran('report', idempotencyKey)
      return String(n).repeat(blobBytes)
    },
  })
  const flaky = tool('flaky', {
    description: 'Fails the first time.',
    input: order,
    retry: { maxAttempts: 3, backoff: retryAfter },
    run: ({ n }, { idempotencyKey, attempt }) => {
      if (effects.failsFirst(idempotencyKey)) throw new Error('not yet')
      effects.ran(`flaky at attempt ${attempt}`, idempotencyKey)
      return n
    },
  })
  const gate = tool('gate', {
    description: 'Is paused.',
    input: order,
    atMostOnce: true,
    run: ({ n }, { idempotencyKey }) => {
      effects.ran('gate', idempotencyKey)
      return n
    },
  })
  const refund = tool('refund', {
    description: 'Asks a person.',
    input: order,
    approval: true,
    run: ({ n }, { idempotencyKey }) => {
      effects.ran('refund', idempotencyKey)
      return n
    },
  })
  const desk = agent('desk', {
    on: 'order.placed',
    async run(ctx, { n }: { n: number }) {
      const first = await ctx.call(count, { n })
      const text = await ctx.call(report, { n })
      const steps = [flaky, gate, refund]
      // Each order begins somewhere else.
      for (let i = 0; i < steps.length; i++) await ctx.call(steps[(n + i) % steps.length]!, { n })
      await ctx.sleep(100)
      ctx.emit({ type: 'order.done', data: { n, first, length: String(text).length } })
      return { n }
    },
  })
  const watch = workflow('watch', { key: [by('order.placed', e => e.n), by('order.done', e => e.n)], within: '1h' })
    .when('both', all(on('order.placed').as('placed'), on('order.done').as('done')), { within: '1h' })
    .call('more', count, s => ({ n: s.done.n }))
    .emit('order.watched', s => ({ n: s.placed.n, more: s.more }))
  return start(app({ name: 'orders', use: [count, report, flaky, gate, refund, desk, watch] }), {
    driver,
    only: ['agents', 'tools', 'models'],
  })
}

/** Publishes orders and waits until none goes on by itself. */
export async function placeOrders(running: RunningApp, numbers: readonly number[]): Promise<void> {
  await running.pauses.set('tool', 'gate', true)
  for (const n of numbers) await running.bus.publish({ type: 'order.placed', data: { n } })
  await until(async () => (await listed(running, 'tool.delayed')).length >= numbers.filter(n => n % 3 === 0).length)
  await until(async () => (await approvals(running)).length >= numbers.filter(n => n % 3 === 2).length)
  await until(async () => (await parked(running)) >= numbers.filter(n => n % 3 === 1).length)
}

/** Lets everything go on, and waits for its end. */
export async function finishOrders(running: RunningApp, numbers: readonly number[]): Promise<void> {
  await running.pauses.set('tool', 'gate', false)
  await until(
    async () => {
      await grant(running, Infinity)
      return (await listed(running, 'order.watched')).length >= numbers.length
    },
    { within: 60_000, what: 'the end of every order' },
  )
}

/** A person answers some of the open requests. */
export async function grant(running: RunningApp, most: number): Promise<void> {
  for (const request of (await approvals(running)).slice(0, most)) await answerRequest(running.bus, 'grant', request)
}

async function approvals(running: RunningApp) {
  const answered = new Set((await listed(running, 'approval.granted')).map(({ call, subject }) => call ?? subject))
  const requests = await listed<ApprovalRequest>(running, 'approval.requested')
  return requests.filter(({ id }) => !answered.has(id))
}

const parked = async ({ bus }: RunningApp) =>
  (await Array.fromAsync(bus.listDeferred())).filter(({ state }) => state === 'parked').length

async function listed<T = unknown>({ bus }: RunningApp, type: string) {
  const found = await Array.fromAsync(bus.read({ filter: [{ types: [type] }] }))
  return Promise.all(found.map(({ event }) => bus.resolve(event))) as Promise<CloudEvent<T>[]>
}

/** How the log looks to readers: every event of every correlation, and each task as it stands. */
export async function projection(driver: Driver): Promise<string> {
  const byCorrelation = new Map<string, string[]>()
  for await (const { event } of driver.read({})) {
    const ids = byCorrelation.get(event.correlationid)
    const line = JSON.stringify(event)
    if (ids) ids.push(line)
    else byCorrelation.set(event.correlationid, [line])
  }
  const lines: string[] = []
  for (const [correlation, events] of [...byCorrelation].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const turns = await driver.newestTurns(correlation)
    lines.push(correlation, ...events.toSorted(), ...turns.map(turn => JSON.stringify(turn)).toSorted())
  }
  return hash('sha256', lines.join('\n'), 'hex')
}

/** Copies, and closes both. */
export async function moved(from: Driver, to: Driver): Promise<CopySummary> {
  try {
    return await copyLog({
      from: { driver: from, name: 'old' },
      to: { driver: to, name: 'new' },
      settleMs: 0,
    })
  } finally {
    await from.close()
    await to.close()
  }
}
