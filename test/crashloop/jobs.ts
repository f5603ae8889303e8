import { randomUUIDv7 } from 'node:crypto'
import type { Draft } from '../../src/event.ts'
import { taskId } from '../../src/bus/ids.ts'
import { endless, fanOutCalls, frugalCalls } from './app.ts'
import type { End, Job } from './asked.ts'
import type { Random } from './random.ts'

/* The jobs that a crash loop posts: which event asks for one, how it may end, and when it is cancelled. */

export type Event = Draft & { id: string; correlationid: string }

export interface Plan {
  job: Omit<Job, 'kind'>
  start: Event
  /** Posted some ms later, or before it where that is negative. */
  others: { event: Event; afterMs: number }[]
}

type Sort = (random: Random, n: number) => Omit<Plan, 'job'> & { ends: End[]; task?: string; budget?: number }

const completed = (...outputs: unknown[]): End[] => outputs.map(output => ({ end: 'completed', output }))
const cancelled: End[] = [{ end: 'cancelled' }]
const failed = (code: string): End[] => [{ end: 'failed', code }]

function event(type: string, data: unknown, target?: string): Event {
  const correlationid = randomUUIDv7()
  return { type, data, correlationid, id: `job-${randomUUIDv7()}`, ...(target !== undefined && { target }) }
}

/** A start, and a cancel of its task: of every third in the same breath, before its first turn. */
function withCancel(random: Random, start: Event, program: string) {
  const subject = taskId(start.correlationid, program, start.id)
  const cancel = {
    ...event('agent.cancel', { reason: 'the crash loop says so' }, program),
    correlationid: start.correlationid,
    subject,
  }
  return {
    start,
    task: subject,
    others: [{ event: cancel, afterMs: random.next() < 0.33 ? 0 : random.between(0, 6_000) }],
  }
}

const sorts = {
  sleep: (random, n) => ({
    start: event('job.sleep', { n, ms: random.whole(200, 8_000) }),
    others: [],
    ends: completed({ sum: n + 3 }),
  }),
  'sleep, cancelled': (random, n) => ({
    ...withCancel(random, event('job.sleep', { n, ms: random.whole(200, 8_000) }), 'sleeper'),
    ends: [...completed({ sum: n + 3 }), ...cancelled],
  }),
  'idle, cancelled': (random, n) => ({ ...withCancel(random, event('job.idle', { n }), 'idler'), ends: cancelled }),
  'parent, cancelled': (random, n) => ({
    ...withCancel(random, event('job.parent', { n }), 'parent'),
    ends: cancelled,
  }),
  'trip, cancelled': (random, n) => ({
    ...withCancel(random, event('agent.invoke', { input: { n } }, 'trip'), 'trip'),
    ends: cancelled,
  }),
  'chain, cancelled': (random, n) => ({
    ...withCancel(random, event('job.chain', { n, left: endless }), 'chain'),
    ends: cancelled,
  }),
  'chain, called': (_, n) => ({
    start: event('job.call', { n, left: 3, within: '1h' }),
    others: [],
    ends: completed({ answer: { sum: n + 3 } }),
  }),
  'chain, expired': (_, n) => ({
    start: event('job.call', { n, left: endless, within: '1s' }),
    others: [],
    ends: completed({ answer: 'E_CALL_EXPIRED' }),
  }),
  'chain, outrun': (_, n) => ({ start: event('job.race', { n }), others: [], ends: completed('first') }),
  ask: (random, n) => {
    const say = random.pick(['grant', 'deny', 'nothing'])
    const answers = {
      grant: completed(
        { approved: true, charged: n },
        { approved: true, charged: 'E_TOOL_OUTCOME_UNKNOWN' },
        { approved: true, charged: 'E_WORKER_LOST' },
      ),
      deny: completed({ approved: false }),
      nothing: completed({ approved: 'E_CALL_EXPIRED' }),
    }
    return { start: event('job.ask', { n, say }), others: [], ends: answers[say as keyof typeof answers] }
  },
  refund: (random, n) => {
    const say = random.pick(['grant', 'deny'])
    return {
      start: event('job.refund', { n, say }),
      others: [],
      ends: completed(say === 'grant' ? n : 'E_APPROVAL_DENIED', 'E_WORKER_LOST'),
    }
  },
  meet: (random, n) => {
    const order = randomUUIDv7()
    const start = event('meet.placed', { order })
    const paid = event('meet.paid', { order, n })
    return { start, others: [{ event: paid, afterMs: random.between(-500, 3_000) }], ends: completed(n + 1) }
  },
  chase: (_, n) => ({
    start: event('chase.placed', { order: randomUUIDv7(), n }),
    others: [],
    ends: completed(n + 1),
  }),
  spend: (_, n) => ({
    start: event('job.spend', { n }),
    others: [],
    ends: failed('E_BUDGET_EXCEEDED'),
    budget: frugalCalls,
  }),
  'fan-out': () => ({
    start: event('job.fan', { calls: fanOutCalls }),
    others: [],
    ends: completed({ chars: fanOutCalls * 7_000 }),
  }),
} satisfies Record<string, Sort>

type SortName = keyof typeof sorts

/** Of a hundred jobs so many are of each sort. A fan-out has its own time. */
const shares: Record<Exclude<SortName, 'fan-out'>, number> = {
  sleep: 30,
  'sleep, cancelled': 6,
  'idle, cancelled': 8,
  'parent, cancelled': 4,
  'trip, cancelled': 4,
  'chain, cancelled': 2,
  'chain, called': 4,
  'chain, expired': 2,
  'chain, outrun': 2,
  ask: 10,
  refund: 6,
  meet: 12,
  chase: 8,
  spend: 2,
}

const drawn = Object.entries(shares).flatMap(([name, share]) => Array<SortName>(share).fill(name as SortName))

/** A job of chance, or of this sort. */
export function plan(random: Random, n: number, sort: SortName = random.pick(drawn)): Plan {
  const make: Sort = sorts[sort]
  const { start, others, ...rest } = make(random, n)
  return { job: { id: start.id, sort, ...rest }, start, others }
}
