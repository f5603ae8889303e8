import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { agent } from '../../src/agents/agent.ts'
import { cancelId, parseId } from '../../src/bus/ids.ts'
import { event, type CloudEvent } from '../../src/event.ts'
import type { Turn } from '../../src/tasks/program.ts'
import { tool } from '../../src/tools/tool.ts'
import { absent, on } from '../../src/workflows/patterns.ts'
import { is } from '../../src/workflows/refs.ts'
import { by } from '../../src/workflows/key.ts'
import { workflow } from '../../src/workflows/workflow.ts'
import { numbered, type Check, type Seen, type Story } from './story.ts'

/*
 * Two trips that are booked step by step and undone. One fails because there is no seat, and is cancelled while it is undone. The
 * other is cancelled during a call. Both give back what was booked, the last first.
 */

interface Thing {
  n: number
  what: string
}
interface Routed {
  event: CloudEvent<Thing>
}
const thing = numbered<Thing>()
const wanted = event('trip.wanted', numbered<{ n: number; leaves: boolean }>())
const regretted = 'trip.regretted'

const book = tool('book', { description: 'Books.', input: thing, run: ({ what }) => ({ what }) })
const seat = tool('seat', {
  description: 'There is none.',
  input: thing,
  retry: { maxAttempts: 1 },
  run() {
    throw new Error('no seat')
  },
})
const visa = tool('visa', {
  description: 'Takes forever.',
  input: thing,
  timeout: '1h',
  run: (_, { signal }) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
})
const giveBack = { kind: 'tool', name: 'give.back' } as const
const givingBack = (home: string) =>
  tool(giveBack.name, {
    description: 'Gives back.',
    input: thing,
    run({ n, what }, { idempotencyKey }) {
      appendFileSync(join(home, 'given'), `${n} ${what} ${idempotencyKey}\n`)
    },
  })

/** Is asked to return the car and first cancels the trip, which has ended already. */
const returner = agent('returner', {
  init: () => ({ isBack: false }),
  evolve: (state, { type }) => (type === 'tool.result' ? { isBack: true } : state),
  decide({ isBack }, _inputs, ctx) {
    if (isBack) return ctx.complete(null)
    ctx.emit(cancelOf(ctx.start))
    ctx.call({ type: 'tool.invoke', target: giveBack.name, data: ctx.start.data })
  },
})

const critic = agent('critic', {
  on: regretted,
  init: () => null,
  evolve: () => null,
  decide(_state, _inputs, ctx) {
    ctx.emit(cancelOf(ctx.start))
    ctx.complete(null)
  },
})

/** Cancels the instance that emitted this event. */
const cancelOf = ({ id }: CloudEvent) => ({
  type: 'agent.cancel',
  target: 'trip',
  subject: parseId(id)!.task,
  data: { reason: 'regret' },
})

const given = <Name extends string>(name: Name) => ({
  undo: { target: giveBack, input: (s: any) => ({ n: s.event.n, what: s[name].what }) },
})
const flow = workflow('trip', { on: wanted, key: [by(wanted, t => t.n), by('trip.objected', o => o.n)], within: '1h' })
  .call('flight', book, s => ({ n: s.event.n, what: 'flight' }), given('flight'))
  .call('fee', book, s => ({ n: s.event.n, what: 'fee' }))
  .call('hotel', book, s => ({ n: s.event.n, what: 'hotel' }), given('hotel'))
  .call('car', book, s => ({ n: s.event.n, what: 'car' }), {
    undo: { target: returner, input: s => ({ n: s.event.n, what: s.car.what }) },
  })
  .choose(
    s => is(s.event.leaves, true),
    leaves =>
      leaves
        .emit(regretted, s => ({ n: s.event.n }))
        .call('visa', visa, s => ({ n: s.event.n, what: 'visa' }), given('visa')),
  )
  .when('calm', absent(on('trip.objected'), '20ms'), { within: '1h' })
  .call('seat', seat, s => ({ n: s.event.n, what: 'seat' }), given('seat'))
  .call('dinner', book, s => ({ n: s.event.n, what: 'dinner' }), given('dinner'))

const numbers = (n: number) => [2 * n, 2 * n + 1] as const

export const trip: Story = {
  starts: n => numbers(n).map((n, i) => ({ type: wanted.type, data: { n, leaves: i === 1 } })),
  ends: ['critic completed', 'returner completed', 'returner completed', 'trip cancelled', 'trip failed'],
  agents: [returner, critic],
  workflows: [flow],
  models: [],
  tools: home => [book, seat, visa, givingBack(home)],
  checks: seen => numbers(seen.n).flatMap((n, i) => checksOf(seen, n, i === 1)),
}

const booked = ['flight', 'fee', 'hotel', 'car'].flatMap(what => [`book ${what}`, `book ${what}: tool.result`])
const undone = [
  'returner car',
  'returner car: agent.task.completed',
  ...['hotel', 'flight'].flatMap(what => [`give.back ${what}`, `give.back ${what}: tool.result`]),
]
const failed = [...booked, 'timer.fired', 'seat seat', 'seat seat: tool.failed', ...undone]
const cancelled = [...booked, 'visa visa', ...undone]

function checksOf({ turns, events, home }: Seen, n: number, leaves: boolean): Check[] {
  const name = (call: string) => {
    const { target, data } = events.get(call)!
    return `${target} ${(data as { input: Thing }).input.what}`
  }
  const stepsOf = ({ inputs, emits }: Turn) => [
    ...inputs.flatMap(({ type, call }) => (type === 'timer.fired' ? type : call ? `${name(call)}: ${type}` : [])),
    ...emits.flatMap(({ id, type, wait }) => (wait && type !== 'timer.set' ? name(id) : [])),
  ]
  const journal = [...turns.values()].find(isOf(n)) ?? []
  const steps = journal.flatMap(stepsOf)
  const end = events.get(journal.at(-1)?.emits.find(({ type }) => type.startsWith('agent.task.'))?.id ?? '')
  const { error, reason } = (end?.data ?? {}) as { error?: { message: string }; reason?: string }
  const open = stillOpen(journal).filter(id => !events.has(cancelId(id)))
  const given = givenIn(home, n)
  return [
    [`trip ${n} took other steps`, steps.join() === (leaves ? cancelled : failed).join(), steps],
    [`trip ${n} ended in another way`, leaves ? reason === 'regret' : error?.message === 'no seat', end?.data],
    [`trip ${n} has open calls that were not cancelled`, open.length === 0, open],
    [`trip ${n} was given back in another order`, given.join() === 'car,hotel,flight', given],
  ]
}

const isOf =
  (n: number) =>
  ([first]: readonly Turn[]) =>
    first?.program === 'trip' && (first.inputs[0]!.data as Routed).event.data.n === n

/** Calls without an answer, without timers: a timer without a waiting task never fires. */
function stillOpen(journal: readonly Turn[]): string[] {
  const answered = new Set(journal.flatMap(({ inputs }) => inputs.flatMap(({ call }) => call ?? [])))
  const asked = journal.flatMap(({ emits }) => emits.filter(({ type, wait }) => wait && type !== 'timer.set'))
  return asked.flatMap(({ id }) => (answered.has(id) ? [] : id))
}

/** What was given back of a trip, each idempotency key once. */
function givenIn(home: string, n: number): string[] {
  const file = join(home, 'given')
  const lines = new Set(existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [])
  return [...lines].map(line => line.split(' ')).flatMap(([trip, what]) => (trip === String(n) ? what! : []))
}
