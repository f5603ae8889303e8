import { hash } from 'node:crypto'
import type { Logged, WireEvent, WireTurn } from './wire.ts'

/** A turn, without the data of its events. */
export interface Turn {
  task: string
  position: number
  program: string
  version: number
  at: number
  inputs: { id: string; type: string; call?: string; causationid?: string }[]
  emits: WireTurn['emits']
  withdrawn: readonly string[]
  end?: WireTurn['end']
}

/** A call that waits for its answer, or a timer. */
export interface Open {
  id: string
  type: string
  until: number | null
}

export interface Cancel {
  id: string
  position: number
  at: number
  /** The task that is to end. */
  task: string
}

/** The journals of all tasks, and what else the rules look at, put together from the log. */
export class Tasks {
  readonly journals = new Map<string, Turn[]>()
  /** Position of the first event of each id. */
  readonly positions = new Map<string, number>()
  /** What tasks ended with, by the id of the event that says so. */
  readonly facts = new Map<string, { type: string; data: unknown }>()
  readonly cancels: Cancel[] = []
  /** Ids of the answers to each call. */
  readonly answers = new Map<string, Set<string>>()
  /** Events that say E_PROGRAM_MISMATCH. */
  readonly mismatches: string[] = []
  /** Tasks by each event from outside that they took, in the order of the log. */
  readonly takers = new Map<string, string[]>()
  readonly #due = new Map<string, number>()
  /** Tasks by the event that began them. */
  readonly #begun = new Map<string, string>()

  add({ position, event }: Logged) {
    const { id, type } = event
    if (type === 'task.turn') return this.#turn(position, event)
    // A broker that forgot an id may store it again, which changes nothing.
    if (this.positions.has(id)) return
    this.positions.set(id, position)
    // An `agent.invoke` with a call goes on for another task. After an expiry an answer may come, which changes nothing.
    if (event.call !== undefined && type !== 'agent.invoke' && type !== 'call.expired')
      answersOf(this.answers, event.call).add(id)
    if (type.startsWith('agent.task.')) this.facts.set(id, { type, data: event.data })
    if (type === 'agent.cancel')
      this.cancels.push({ id, position, at: Date.parse(event.time), task: event.subject ?? '' })
    if (type.endsWith('.failed') && JSON.stringify(event.data ?? null).includes('E_PROGRAM_MISMATCH'))
      this.mismatches.push(id)
  }

  #turn(position: number, event: WireEvent) {
    const { program, version, at, inputs, emits, withdrawn = [], end } = event.data as WireTurn
    const task = event.id.slice(0, event.id.lastIndexOf(':'))
    const turn: Turn = {
      task,
      position,
      program,
      version,
      at,
      inputs: inputs.map(({ id, type, call, causationid }) => ({
        id,
        type,
        ...(call !== undefined && { call }),
        ...(causationid !== undefined && { causationid }),
      })),
      emits,
      withdrawn,
      ...(end && { end }),
    }
    const journal = this.journals.get(task)
    if (journal) journal.push(turn)
    else this.journals.set(task, [turn])
    for (const { id, type, wait } of emits) if (type === 'timer.set') this.#due.set(id, wait!.until!)
    for (const input of turn.inputs) {
      if (input.call !== undefined) continue
      const taken = input.type === 'workflow.event' ? input.causationid! : input.id
      const takers = this.takers.get(taken) ?? []
      if (!takers.includes(task)) this.takers.set(taken, [...takers, task])
    }
    if (version === 1 && inputs[0]) this.#begun.set(inputs[0].id, task)
  }

  /** When a timer was to go off. */
  dueOf(timer: string): number | undefined {
    return this.#due.get(timer)
  }

  /** The task that an event began. */
  begunBy(event: string): string | undefined {
    return this.#begun.get(event)
  }

  /** The newest turn of the task that this one went on as, over all of its continuations. */
  last(task: string): Turn | undefined {
    const turn = this.journals.get(task)?.at(-1)
    if (turn?.end !== 'continued') return turn
    const next = turn.emits.findLast(({ type }) => type === 'agent.invoke')
    return (next && this.last(taskId(task.slice(0, 36), turn.program, next.id))) ?? turn
  }

  /** Calls and timers of a task that no turn has an answer to. */
  open(task: string): Open[] {
    const journal = this.journals.get(task) ?? []
    const closed = new Set(
      journal.flatMap(({ inputs, withdrawn }) => [...inputs.flatMap(({ call }) => call ?? []), ...withdrawn]),
    )
    return journal.flatMap(({ emits }) =>
      emits.flatMap(({ id, type, wait }) => (wait && !closed.has(id) ? [{ id, type, until: wait.until }] : [])),
    )
  }

  /** Tasks that have not ended. */
  live(): string[] {
    return [...this.journals].filter(([, journal]) => !journal.at(-1)!.end).map(([task]) => task)
  }

  /** Events that turns emitted and that are not on the log: a worker that is killed leaves them to the next one. */
  missing(): string[] {
    const emitted = [...this.journals.values()].flatMap(journal => journal.flatMap(({ emits }) => emits))
    return emitted.flatMap(({ id }) => (this.positions.has(id) ? [] : [id]))
  }

  /** What the log has of a task, a line for each turn, for people. */
  history(task: string): string[] {
    return (this.journals.get(task) ?? []).map(turn => {
      const { position, version, at, inputs, emits, end } = turn
      const waits = emits
        .filter(({ wait }) => wait)
        .map(({ id, type, wait }) => `${type} ${id} until ${timeOf(wait!.until)}`)
      const other = emits.filter(({ wait }) => !wait).map(({ type }) => type)
      return [
        `${position}: turn ${version} of ${turn.program} ${task} at ${timeOf(at)}`,
        `took ${few(inputs.map(({ id, type }) => `${type} ${id}`))}`,
        ...(waits.length > 0 ? [`waits for ${few(waits)}`] : []),
        ...(other.length > 0 ? [`emitted ${few(other)}`] : []),
        ...(end ? [`ended ${end}`] : []),
      ].join('; ')
    })
  }
}

/** The id of a task, as docs/wire-format.md says. One that was cancelled first has not taken the event that starts it. */
function taskId(correlation: string, program: string, start: string): string {
  const digits = hash('sha256', `${program}\0${start}`, 'hex').slice(0, 14)
  return `${correlation}.${BigInt(`0x${digits}`).toString(36).padStart(10, '0').slice(-10)}`
}

const timeOf = (ms: number | null) => (ms === null ? 'for ever' : new Date(ms).toISOString())

const few = (texts: string[]) =>
  texts.length <= 4 ? texts.join(', ') : `${texts.slice(0, 3).join(', ')} and ${texts.length - 3} more`

function answersOf(answers: Map<string, Set<string>>, call: string): Set<string> {
  let ids = answers.get(call)
  if (!ids) answers.set(call, (ids = new Set()))
  return ids
}
