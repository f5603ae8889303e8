import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { correlationOf } from '../bus/ids.ts'
import { remainingAfter, earlierCallsIn, type EarlierCall } from '../tasks/earlier-calls.ts'
import { asRequested } from '../tasks/effects.ts'
import { asInvoked, isFork, visibleTurn, type Fork, type ForkedTurn } from '../tasks/fork.ts'
import type { RecordedTurn } from '../tasks/program.ts'
import { answerTypes } from '../tasks/rules.ts'
import type { SnapshotState } from '../tasks/task.ts'
import { TaskJournal } from './journal.ts'

/** A task before one of its turns, as its program saw it. */
export interface TaskHistory {
  readonly program: string
  readonly start: CloudEvent
  /** As in {@link Fork}. */
  readonly state?: string
  readonly turns: readonly ForkedTurn[]
  /** What the turn decided upon; empty where it is still to come. */
  readonly inputs: readonly CloudEvent[]
  /** Requests whose answers are waited for before the turn, by the ids that the program knows. */
  readonly open: ReadonlyMap<string, CloudEvent>
  /** Answers to these that the turn did not have: what later turns took, then what nobody took. */
  readonly answers: readonly CloudEvent[]
  /** Of calls in `open`: the request that was published for each, where one was. A call that was asked again has another id there. */
  readonly asked: ReadonlyMap<string, PublishedRequest>
  /** Calls that the turn made, and those of earlier failures that it did not make again. */
  readonly again: readonly EarlierCall[]
  /** What it emitted. */
  readonly emitted: readonly CloudEvent[]
}

export interface PublishedRequest {
  readonly id: string
  /** Its idempotency key. */
  readonly key: string
}

// In characters. A history that is longer begins at a snapshot, where there is one.
const maxHistoryChars = 3_000_000

/** What a task was before its turn `version`, counted from 1. @throws E_NOT_FOUND when there is no such turn, or not any more */
export async function readHistory(bus: Bus, task: string, version: number, known?: TaskJournal): Promise<TaskHistory> {
  const journal = known ?? (await TaskJournal.read(bus, task))
  const { version: head, end } = journal.newest
  if (version < 1 || version > head + (end ? 0 : 1))
    throw new TidingsError(
      'E_NOT_FOUND',
      `task ${task} has ${head} turns${end ? ` and is ${end}` : ''}: there is no turn ${version}`,
    )
  const { snapshot } = await bus.driver.journal(task)
  const restart = snapshot && snapshot.version < version ? (JSON.parse(snapshot.state) as SnapshotState) : undefined
  if (journal.isWhole || !restart) {
    const history = await historyUpTo(bus, journal, ForkHistory.fromStart((await journal.turn(1)).inputs[0]!), version)
    if (!restart || JSON.stringify(history.turns).length <= maxHistoryChars) return history
  }
  return historyUpTo(bus, journal, await ForkHistory.fromSnapshot(bus, restart), version)
}

async function historyUpTo(bus: Bus, journal: TaskJournal, past: ForkHistory, version: number): Promise<TaskHistory> {
  while (past.head + 1 < version) past.fold(await journal.turn(past.head + 1))
  const { start, state } = past
  const [turns, open, asked] = [[...past.turns], new Map(past.open), new Map(past.asked)]
  let again: readonly EarlierCall[] = past.again
  let emitted: readonly CloudEvent[] = []
  const { version: head, program } = journal.newest
  let inputs: readonly CloudEvent[] = []
  const later: CloudEvent[] = []
  for (let at = version; at <= head; at++) {
    const recorded = await journal.turn(at)
    const seen = past.fold(recorded)
    if (at === version) {
      inputs = seen.inputs
      emitted = recorded.emitted
      again = [...past.again, ...earlierCallsIn(recorded.turn.emits, emitted)]
    } else later.push(...seen.inputs.filter(({ call }) => open.has(call ?? '')))
  }
  const taken = new Set([...inputs, ...later].map(({ call }) => call))
  const waits = (call: string) => open.has(call) && !taken.has(call)
  if ([...open.keys()].some(waits)) later.push(...(await past.answersIn(bus, correlationOf(journal.task), waits)))
  return {
    program,
    start,
    turns,
    inputs,
    open,
    answers: later,
    asked,
    again,
    emitted,
    ...(state !== undefined && { state }),
  }
}

/** Goes through turns as their program saw them. */
class ForkHistory {
  /** Of the last turn that it went through. */
  head: number
  readonly start: CloudEvent
  readonly state: string | undefined
  readonly turns: ForkedTurn[] = []
  readonly open = new Map<string, CloudEvent>()
  readonly asked = new Map<string, PublishedRequest>()
  /** Calls of a failure before this task, which it has not made again. */
  again: readonly EarlierCall[] = []
  /** Of calls that were asked again: the ids that the program knows. */
  readonly #known = new Map<string, string>()

  private constructor(start: CloudEvent, head = 0, state?: string) {
    this.start = start
    this.head = head
    this.state = state
  }

  static fromStart(first: CloudEvent): ForkHistory {
    if (!isFork(first.type)) return new ForkHistory(first)
    const fork = first.data as Fork
    const past = new ForkHistory(fork.start, 0, fork.state)
    past.again = fork.again ?? []
    for (const turn of fork.turns) past.#add(turn)
    for (const request of fork.reissue) past.open.set(request.id, request)
    return past
  }

  static async fromSnapshot(bus: Bus, { start, head, program, open, again = [] }: SnapshotState): Promise<ForkHistory> {
    const past = new ForkHistory(start, head, program)
    past.again = again
    for (const { id, as = id } of open) {
      const request = await bus.get(id, start.correlationid)
      if (!request)
        throw new TidingsError('E_NOT_FOUND', `${id}, of which the task waits for the answer, is no longer on the log`)
      past.open.set(as, { ...asInvoked(asRequested(await bus.resolve(request))), id: as })
      past.asked.set(as, { id, key: request.retryof ?? id })
      if (as !== id) past.#known.set(id, as)
    }
    return past
  }

  /** The next turn. */
  fold(recorded: RecordedTurn): RecordedTurn {
    const seen = visibleTurn(recorded, call => this.#known.get(call))
    recorded.turn.emits.forEach(({ id, wait }, i) => {
      if (!wait) return
      this.asked.set(wait.as ?? id, { id, key: recorded.emitted[i]?.retryof ?? id })
      if (wait.as !== undefined) this.#known.set(id, wait.as)
    })
    this.again = remainingAfter(this.again, recorded.turn.emits)
    this.#add({ turn: { ...seen.turn, inputs: seen.inputs }, emitted: seen.emitted })
    this.head = recorded.turn.version
    return seen
  }

  /** The answers in a correlation to calls that are meant, as the program would see them. */
  async answersIn(bus: Bus, correlation: string, isMeant: (call: string) => boolean): Promise<CloudEvent[]> {
    const found: CloudEvent[] = []
    for await (const { event } of bus.read({ correlation })) {
      const call = event.call === undefined ? undefined : (this.#known.get(event.call) ?? event.call)
      if (call !== undefined && answerTypes.includes(event.type) && isMeant(call))
        found.push({ ...(await bus.resolve(event)), call })
    }
    return found
  }

  #add(past: ForkedTurn) {
    const { turn, emitted } = past
    this.turns.push(past)
    for (const { call } of turn.inputs) if (call !== undefined) this.open.delete(call)
    for (const call of turn.withdrawn ?? []) this.open.delete(call)
    turn.emits.forEach(({ id, wait }, i) => wait && this.open.set(id, emitted[i]!))
  }
}
