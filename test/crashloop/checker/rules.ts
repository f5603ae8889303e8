import { isDeepStrictEqual } from 'node:util'
import type { Asked, End } from '../asked.ts'
import type { Tasks, Turn } from './tasks.ts'
import type { SetAside } from './wire.ts'

/** What must never be on the log. */
export const faults = {
  'lost event': 'its publish was acknowledged and it is not on the log',
  'not started': 'a job was accepted and no task took it',
  'lost timer': 'the time of a wait is over and its task sleeps on',
  'wedged task': 'a task did not end',
  'cancel without effect': 'a task was cancelled and went on',
  'false mismatch': 'a task was refused as E_PROGRAM_MISMATCH although the code is unchanged',
  'set aside': 'a delivery was parked or given up that nobody asked to be',
  'budget exceeded': 'a correlation spent more calls than its budget and one turn',
  'forked journal': 'a task has two turns of one version, a gap, or a turn after its end',
  'missing event': 'a turn emitted an event that is not on the log',
  'answered twice': 'a call has two answers',
  'applied twice': 'a task took two answers to one call',
  'wrong end': 'a job ended in a way in which it may not',
} as const

export type Fault = keyof typeof faults

export interface Finding {
  fault: Fault
  /** Task, event or job. */
  id: string
  what: string
  evidence: string[]
}

export interface Evidence {
  asked: Asked
  tasks: Tasks
  setAside: readonly SetAside[]
  /** When the log was read: ms since the epoch. */
  now: number
}

/** A wait is lost, not late, when it is over for longer. */
const lateMs = 10_000
/** A task that ends by itself so soon after a cancel was quicker than the cancel. */
const overtakenMs = 30_000

/** A call that was handed out over and over to workers that were killed is given up, which whoever kills asks for. */
const workerLost = 'E_WORKER_LOST'
const givenUp = { end: 'failed', code: workerLost }

/** Everything that is wrong, by rule. */
export function check(evidence: Evidence): Finding[] {
  return [
    ...lostEvents(evidence),
    ...jobs(evidence),
    ...liveTasks(evidence),
    ...cancels(evidence),
    ...mismatches(evidence),
    ...budgets(evidence),
    ...journals(evidence),
  ]
}

function lostEvents({ asked, tasks }: Evidence): Finding[] {
  const lost = [...asked.accepted].filter(id => !tasks.positions.has(id))
  return lost.map(id => ({ fault: 'lost event', id, what: 'acknowledged, and not on the log', evidence: [] }))
}

function jobs({ asked, tasks }: Evidence): Finding[] {
  return asked.jobs.flatMap((job): Finding[] => {
    if (!tasks.positions.has(job.id)) return []
    const takers = tasks.takers.get(job.id) ?? []
    // One that was cancelled before it began has not taken the event that starts it.
    const task = takers[0] ?? (job.task !== undefined && tasks.journals.has(job.task) ? job.task : undefined)
    if (task === undefined)
      return [
        {
          fault: 'not started',
          id: job.id,
          what: `a job of sort ${job.sort}`,
          evidence: [`${tasks.positions.get(job.id)}: ${job.id}`],
        },
      ]
    const last = tasks.last(task)
    // What did not end is a task that did not end.
    if (!last?.end) return []
    const ended = endOf(tasks, last)
    if (job.ends.some(end => isDeepStrictEqual(end, ended)) || isDeepStrictEqual(ended, givenUp)) return []
    const what = `${job.sort} ended ${short(ended)}; it may end ${short(job.ends)}`
    return [{ fault: 'wrong end', id: task, what, evidence: tasks.history(task) }]
  })
}

/** How a task ended, as a job says how it may. */
function endOf(tasks: Tasks, { end, emits }: Turn): End | { end: string } {
  const fact = emits.findLast(({ id }) => tasks.facts.has(id))
  const data = fact && (tasks.facts.get(fact.id)!.data as { output?: unknown; error?: { code: string } })
  if (end === 'completed') return { end, output: data?.output }
  if (end === 'failed') return { end, code: String(data?.error?.code) }
  return { end: end! }
}

function liveTasks({ tasks, now }: Evidence): Finding[] {
  return tasks.live().map((task): Finding => {
    const open = tasks.open(task)
    const over = open.filter(({ until }) => until !== null && until < now - lateMs)
    const evidence = tasks.history(task)
    if (over.length > 0) {
      const { type, until } = over[0]!
      const what = `${type} was over at ${new Date(until!).toISOString()}, ${Math.round((now - until!) / 1_000)} s before the log was read`
      return { fault: 'lost timer', id: task, what, evidence }
    }
    const answered = open.filter(({ id }) => (tasks.answers.get(id)?.size ?? 0) > 0)
    const what = `it waits for ${open.length} answers, of which ${answered.length} are on the log`
    const more = answered
      .slice(0, 3)
      .flatMap(({ id }) => [...tasks.answers.get(id)!].map(answer => `${tasks.positions.get(answer)}: ${answer}`))
    return { fault: 'wedged task', id: task, what, evidence: [...evidence, ...more] }
  })
}

function cancels({ tasks }: Evidence): Finding[] {
  return tasks.cancels.flatMap(({ id, position, at, task }): Finding[] => {
    const last = tasks.last(task)
    // A task that never began, and never will, was cancelled in time.
    if (!last || last.end === 'cancelled') return []
    if (last.end && (last.position < position || last.at < at + overtakenMs)) return []
    const what = last.end
      ? `${task} ended ${last.end} ${Math.round((last.at - at) / 1_000)} s after it was cancelled`
      : `${task} goes on`
    const history = tasks.history(last.task)
    const evidence = [`${position}: agent.cancel ${id} at ${new Date(at).toISOString()}`, ...history]
    return [{ fault: 'cancel without effect', id: task, what, evidence }]
  })
}

/** How many tasks ended by themselves although they were cancelled. */
export const overtaken = (tasks: Tasks) =>
  tasks.cancels.filter(({ task }) => {
    const end = tasks.last(task)?.end
    return end && end !== 'cancelled'
  }).length

function mismatches({ tasks, setAside, asked }: Evidence): Finding[] {
  const failed = tasks.mismatches.map(
    (id): Finding => ({ fault: 'false mismatch', id, what: `${tasks.positions.get(id)}: ${id}`, evidence: [] }),
  )
  const spenders = new Set(
    asked.jobs.filter(({ budget }) => budget !== undefined).map(({ id }) => correlationOf(tasks, id)),
  )
  const aside = setAside.flatMap(({ state, reason, event = 'an event' }): Finding[] => {
    const isMismatch = reason.includes('E_PROGRAM_MISMATCH')
    const isAskedFor = reason.startsWith('E_BUDGET_EXCEEDED') && spenders.has(event.slice(0, 36))
    if (state === 'delayed' || reason.startsWith(workerLost) || (isAskedFor && !isMismatch)) return []
    return [
      { fault: isMismatch ? 'false mismatch' : 'set aside', id: event, what: `${state}: ${reason}`, evidence: [] },
    ]
  })
  return [...failed, ...aside]
}

const correlationOf = (tasks: Tasks, start: string) => tasks.begunBy(start)?.slice(0, 36)

function budgets({ asked, tasks }: Evidence): Finding[] {
  const spent = new Map<string, { calls: number; turn: number }>()
  for (const [task, journal] of tasks.journals)
    for (const { emits } of journal) {
      const calls = emits.filter(({ type, wait }) => wait && type !== 'timer.set').length
      const before = spent.get(task.slice(0, 36)) ?? { calls: 0, turn: 0 }
      spent.set(task.slice(0, 36), { calls: before.calls + calls, turn: Math.max(before.turn, calls) })
    }
  return asked.jobs.flatMap(({ id, budget }): Finding[] => {
    const correlation = correlationOf(tasks, id)
    const { calls, turn } = spent.get(correlation ?? '') ?? { calls: 0, turn: 0 }
    if (budget === undefined || calls <= budget + turn) return []
    const what = `${calls} calls with a budget of ${budget}, at most ${turn} in one turn`
    const evidence = [...tasks.journals.keys()]
      .filter(task => task.startsWith(correlation!))
      .flatMap(task => tasks.history(task))
    return [{ fault: 'budget exceeded', id: correlation!, what, evidence }]
  })
}

function journals({ tasks }: Evidence): Finding[] {
  const found: Finding[] = []
  for (const [task, journal] of tasks.journals) {
    const add = (fault: Fault, what: string) => found.push({ fault, id: task, what, evidence: tasks.history(task) })
    const wrong = journal.findIndex(({ version }, i) => version !== i + 1)
    if (wrong >= 0) add('forked journal', `turn ${journal[wrong]!.version} stands where turn ${wrong + 1} should`)
    const after = journal.slice(0, -1).find(({ end }) => end)
    if (after) add('forked journal', `turn ${after.version} ended it, and others follow`)
    for (const { version, emits } of journal)
      for (const { id, type } of emits)
        if (!tasks.positions.has(id)) add('missing event', `${type} ${id} of turn ${version} is not on the log`)
    const applied = new Set<string>()
    for (const { version, inputs } of journal)
      for (const { call } of inputs) {
        if (call === undefined) continue
        if (applied.has(call)) add('applied twice', `turn ${version} takes an answer to ${call} again`)
        applied.add(call)
      }
  }
  for (const [call, ids] of tasks.answers)
    if (ids.size > 1) found.push({ fault: 'answered twice', id: call, what: [...ids].join(', '), evidence: [] })
  return found
}

function short(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
