import type { Bus } from '../bus/bus.ts'
import type { EncodedEvent } from '../bus/driver.ts'
import { type ErrorData, failureData, TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Spending } from './budget.ts'
import type { Turn } from './program.ts'
import { wakeFor } from './rules.ts'
import type { Task } from './task.ts'
import { refusalEvent, TurnBuilder, type OpenCall } from './turn.ts'

/*
 * How a decided turn is put together: what it emits and takes back, when the task wakes, the state after it, all as entries
 * for the log. What cannot be recorded fails the task, and its caller hears of it:
 *
 *     decided ──▶ composed ─┬─ can be recorded ─────────────────────▶ committed
 *                           └─ cannot ──▶ a turn that fails the task ──▶ committed
 *
 * A task that undoes what it did is told so first, as where its budget is spent: the turn then holds what undoes.
 */

/** More would not fit into the turn that takes them all back. */
const maxOpenCalls = 10_000

/** What a program decided, and what it decided on. */
export interface DecidedTurn {
  readonly task: Task
  readonly builder: TurnBuilder
  /** The inputs as they were delivered, and the answers that the engine gave itself. */
  readonly embedded: readonly CloudEvent[]
  /** The inputs with their data. */
  readonly seen: readonly CloudEvent[]
  readonly expired: readonly OpenCall[]
  /** Of `embedded`, the latter. */
  readonly engineAnswers: readonly CloudEvent[]
  /** Reserves what a turn spends; what the task has spent with it. */
  readonly recordSpending: (builder: TurnBuilder) => Partial<Spending>
  /** The task as it was before the turn, once more. */
  readonly reloadTask: () => Promise<Task>
}

export interface ComposedTurn {
  /** That of the turn: where it was told that the turn cannot be recorded, the one that decided then. */
  readonly task: Task
  /** What the turn emits in the end: of a turn that could not be recorded, the failure. */
  readonly builder: TurnBuilder
  readonly turn: Turn
  readonly turnEntry: EncodedEvent
  readonly events: readonly EncodedEvent[]
  readonly emitted: readonly CloudEvent[]
  readonly wake: number | null
}

/** The turn for the log. `asAllowed`: the events as they may be published. @throws when the log cannot be used now */
export async function composeTurn(
  bus: Bus,
  decided: DecidedTurn,
  asAllowed: (events: readonly CloudEvent[]) => Promise<readonly CloudEvent[]>,
): Promise<ComposedTurn> {
  try {
    return await encodeTurn(bus, decided, decided.builder, asAllowed)
  } catch (thrown) {
    const fault = faultOf(thrown)
    if (!fault) throw thrown
    const undoing = await decideUndo(decided, fault)
    if (undoing)
      try {
        return await encodeTurn(bus, undoing, undoing.builder, asAllowed)
      } catch (again) {
        if (!faultOf(again)) throw again
      }
    return encodeTurn(bus, decided, decided.builder.failing(fault), asAllowed)
  }
}

/** What a task decides that undoes what it did, when it is told that its turn cannot be recorded; undefined for all other tasks. */
async function decideUndo(decided: DecidedTurn, fault: ErrorData): Promise<DecidedTurn | undefined> {
  const { task, builder, embedded, seen, engineAnswers: own, reloadTask: before } = decided
  const told = refusalEvent(task.identity, builder, fault)
  // Told once that it may not do what it wants, it wants to undo and nothing else.
  if (!task.machine.canCompensate || builder.fault || own.some(({ id }) => id === told.id)) return undefined
  // Parts of the turn may be in its state by now.
  const again = await before()
  const undoing = new TurnBuilder(again.identity, builder.version, embedded, builder.now)
  await again.decide([...seen, told], undoing)
  return { ...decided, task: again, builder: undoing, embedded: [...embedded, told], engineAnswers: [...own, told] }
}

async function encodeTurn(
  bus: Bus,
  { task, embedded, expired, engineAnswers: own, recordSpending: book }: DecidedTurn,
  builder: TurnBuilder,
  asAllowed: (events: readonly CloudEvent[]) => Promise<readonly CloudEvent[]>,
): Promise<ComposedTurn> {
  const stillOpen = task.cancelCalls(embedded, expired, builder)
  const wake = wakeFor(stillOpen, builder)
  const open = stillOpen.length + builder.calls.length
  if (!builder.end && open > maxOpenCalls)
    throw new TidingsError('E_TURN_TOO_LARGE', `the task would wait for ${open} calls at once, at most ${maxOpenCalls}`)
  // After a fault nothing is asked of the program any more.
  const state = builder.fault
    ? undefined
    : runProgramCode(() => {
        task.accepted(builder.emits, builder.events)
        return task.machine.snapshot()
      })
  const turn = builder.build(embedded, wake, state, book(builder))
  const emitted = await asAllowed(builder.events)
  const [turnEntry, ...events] = await bus.encodeTurn(turn, [...emitted, ...own])
  return { task, builder, turn: turn.data, turnEntry: turnEntry!, events, emitted, wake }
}

/** Thrown by the code of a program: whatever it says, it is no failure of the log. */
class ProgramFault extends Error {
  readonly data: ErrorData

  constructor(thrown: unknown) {
    super('the program threw')
    this.data = failureData(thrown, 'E_PROGRAM_FAILED')
  }
}

function runProgramCode<T>(work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw new ProgramFault(thrown)
  }
}

/** Why the task fails; undefined when the log cannot be used now, which says nothing of the task. */
function faultOf(thrown: unknown): ErrorData | undefined {
  if (thrown instanceof ProgramFault) return thrown.data
  if (thrown instanceof TidingsError && thrown.retryable) return undefined
  return failureData(thrown, 'E_PROGRAM_FAILED')
}
