import { notOnLog, TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { correlationOf } from '../bus/ids.ts'
import { remainingAfter, earlierCallsIn, type EarlierCall } from '../tasks/earlier-calls.ts'
import { asRequested } from '../tasks/effects.ts'
import { asInvoked, isFork, visibleTurn, type Fork } from '../tasks/fork.ts'
import type { RecordedTurn } from '../tasks/program.ts'
import { answerTypes } from '../tasks/rules.ts'
import type { SnapshotState } from '../tasks/task.ts'
import { RecordedJournal } from './journal.ts'

/** A task as its program saw it before one of its turns. */
export interface TurnHistory {
  readonly program: string
  readonly start: CloudEvent
  /** As in {@link Fork}. */
  readonly state?: string
  readonly turns: readonly RecordedTurn[]
  /** Inputs of the turn; empty if the turn is not decided yet. */
  readonly inputs: readonly CloudEvent[]
  /** Requests that were open before the turn, by the ids that the program knows. */
  readonly open: ReadonlyMap<string, CloudEvent>
  /** Answers to open requests that the turn did not have: those that later turns took, then those that no turn took. */
  readonly answers: readonly CloudEvent[]
  /** The published request of each call in `open`, if any, with its idempotency key. A repeated call was published under another id. */
  readonly asked: ReadonlyMap<string, { readonly id: string; readonly key: string }>
  /** Calls that the turn made, and calls of earlier failures that it did not repeat. */
  readonly again: readonly EarlierCall[]
  readonly emitted: readonly CloudEvent[]
}

// In characters. A longer history begins at a snapshot if there is one.
const maxHistoryChars = 3_000_000

/** Reads a task as it was before its turn `version`, counted from 1. @throws E_NOT_FOUND if the log does not have that turn */
export async function readTurnHistory(
  bus: Bus,
  task: string,
  version: number,
  known?: RecordedJournal,
): Promise<TurnHistory> {
  const journal = known ?? (await RecordedJournal.read(bus, task))
  const { version: head, end } = journal.newest
  if (version < 1 || version > head + (end ? 0 : 1))
    throw new TidingsError(
      'E_NOT_FOUND',
      `task ${task} has no turn ${version}: it has ${head} turns${end ? ` and is ${end}` : ''}`,
      { next: 'Choose one of its turns; `tidings show TASK` lists them.' },
    )
  const { snapshot } = await bus.journal(task)
  const restart = snapshot && snapshot.version < version ? (JSON.parse(snapshot.state) as SnapshotState) : undefined
  if (journal.isWhole || !restart) {
    const history = await historyUpTo(
      bus,
      journal,
      ForkHistory.fromStart((await journal.turn(1)).turn.inputs[0]!),
      version,
    )
    if (!restart || JSON.stringify(history.turns).length <= maxHistoryChars) return history
  }
  return historyUpTo(bus, journal, await ForkHistory.fromSnapshot(bus, restart), version)
}

async function historyUpTo(bus: Bus, journal: RecordedJournal, past: ForkHistory, version: number) {
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
    const seen = past.fold(recorded).turn.inputs
    if (at === version) {
      inputs = seen
      emitted = recorded.emitted
      again = [...past.again, ...earlierCallsIn(recorded.turn.emits, emitted)]
    } else later.push(...seen.filter(({ call }) => open.has(call ?? '')))
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

/** Folds turns as the program saw them. */
class ForkHistory {
  head: number
  readonly start: CloudEvent
  readonly state: string | undefined
  readonly turns: RecordedTurn[] = []
  readonly open = new Map<string, CloudEvent>()
  readonly asked = new Map<string, { id: string; key: string }>()
  /** Calls of the failed predecessor that this task has not repeated. */
  again: readonly EarlierCall[] = []
  /** Of repeated calls: the ids that the program knows, by the published id. */
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
      if (!request) throw notOnLog(`the open request ${id} is no longer on the log`)
      past.open.set(as, { ...asInvoked(asRequested(await bus.resolve(request))), id: as })
      past.asked.set(as, { id, key: request.retryof ?? id })
      if (as !== id) past.#known.set(id, as)
    }
    return past
  }

  fold(recorded: RecordedTurn): RecordedTurn {
    const seen = visibleTurn(recorded, call => this.#known.get(call))
    recorded.turn.emits.forEach(({ id, wait }, i) => {
      if (!wait) return
      this.asked.set(wait.as ?? id, { id, key: recorded.emitted[i]?.retryof ?? id })
      if (wait.as !== undefined) this.#known.set(id, wait.as)
    })
    this.again = remainingAfter(this.again, recorded.turn.emits)
    this.#add(seen)
    this.head = recorded.turn.version
    return seen
  }

  /** The answers to the selected calls in a correlation, as the program would see them. */
  async answersIn(bus: Bus, correlation: string, isSelected: (call: string) => boolean): Promise<CloudEvent[]> {
    const found: CloudEvent[] = []
    for await (const { event } of bus.read({ correlation })) {
      const call = event.call === undefined ? undefined : (this.#known.get(event.call) ?? event.call)
      if (call !== undefined && answerTypes.includes(event.type) && isSelected(call))
        found.push({ ...(await bus.resolve(event)), call })
    }
    return found
  }

  #add(past: RecordedTurn) {
    const { turn, emitted } = past
    this.turns.push(past)
    for (const { call } of turn.inputs) if (call !== undefined) this.open.delete(call)
    for (const call of turn.withdrawn ?? []) this.open.delete(call)
    turn.emits.forEach(({ id, wait }, i) => wait && this.open.set(id, emitted[i]!))
  }
}
