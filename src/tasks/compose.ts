import type { Bus } from '../bus/bus.ts'
import { type ErrorData, failureData, TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Spending } from './budget.ts'
import { wakeFor } from './rules.ts'
import type { Task } from './task.ts'
import { refusalEvent } from './engine-answers.ts'
import { TurnBuilder, type OpenCall } from './turn.ts'

/*
 * Encodes a decided turn for the log: the events that it emits, its cancellations, the wake-up and the state. If that is impossible,
 * for example because it is too large, the task fails and its caller gets the error:
 *
 *     decided ──▶ encoded ─┬─ possible        ─────────────────────▶ committed
 *                           └─ impossible ──▶ a turn that fails the task ──▶ committed
 *
 * A task that can compensate gets the error as an input first, as when its budget is exceeded, and the turn compensates.
 */

/** The turn that cancels more calls would be too large. */
const maxOpenCalls = 10_000

/** What a program decided, and its inputs. */
export interface DecidedTurn {
  readonly task: Task
  readonly builder: TurnBuilder
  /** The inputs as they were delivered, and the answers that the engine made. */
  readonly embedded: readonly CloudEvent[]
  readonly seen: readonly CloudEvent[]
  readonly expired: readonly OpenCall[]
  /** The answers in `embedded` that the engine made. */
  readonly engineAnswers: readonly CloudEvent[]
  /** Reserves what a turn spends. Returns the total of the task. */
  readonly recordSpending: (builder: TurnBuilder) => Partial<Spending>
  readonly reloadTask: () => Promise<Task>
}

/** Applies the effect policy of a redrive or fork. */
type ApplyPolicy = (events: readonly CloudEvent[]) => Promise<readonly CloudEvent[]>

/**
 * Encodes the turn. Returns the task after it, which is a reloaded one if it had to compensate, and the turn that was encoded, which fails
 * the task if the decided one could not be. @throws if the log is unavailable
 */
export async function composeTurn(bus: Bus, decided: DecidedTurn, applyPolicy: ApplyPolicy) {
  try {
    return await encodeTurn(bus, decided, decided.builder, applyPolicy)
  } catch (thrown) {
    const fault = faultOf(thrown)
    if (!fault) throw thrown
    const undoing = await decideUndo(decided, fault)
    if (undoing)
      try {
        return await encodeTurn(bus, undoing, undoing.builder, applyPolicy)
      } catch (second) {
        if (!faultOf(second)) throw second
      }
    return encodeTurn(bus, decided, decided.builder.failing(fault), applyPolicy)
  }
}

/** The compensation of a task whose turn cannot be recorded; undefined for a task that cannot compensate. */
async function decideUndo(decided: DecidedTurn, fault: ErrorData): Promise<DecidedTurn | undefined> {
  const { task, builder, embedded, seen, engineAnswers, reloadTask } = decided
  const notice = refusalEvent(task.identity, builder, fault)
  // A task that got such an error once only compensates.
  if (!task.machine.canCompensate || builder.fault || engineAnswers.some(({ id }) => id === notice.id)) return undefined
  // The state of the task in memory may include parts of the turn.
  const reloaded = await reloadTask()
  const { version, now } = builder
  const undoing = new TurnBuilder({ identity: reloaded.identity, version, inputs: embedded, now })
  await reloaded.decide([...seen, notice], undoing)
  return {
    ...decided,
    task: reloaded,
    builder: undoing,
    embedded: [...embedded, notice],
    engineAnswers: [...engineAnswers, notice],
  }
}

async function encodeTurn(bus: Bus, decided: DecidedTurn, builder: TurnBuilder, applyPolicy: ApplyPolicy) {
  const { task, embedded, expired, engineAnswers, recordSpending } = decided
  const stillOpen = task.cancelCalls(embedded, expired, builder)
  const wake = wakeFor(task, stillOpen, builder)
  const open = stillOpen.length + builder.calls.length
  if (!builder.end && open > maxOpenCalls)
    throw new TidingsError('E_TURN_TOO_LARGE', `the task would have ${open} open calls; the limit is ${maxOpenCalls}`)
  // A program that failed is not called any more.
  const state = builder.fault
    ? undefined
    : runProgramCode(() => {
        task.accepted(builder.emits, builder.events)
        return task.machine.snapshot() ?? task.machine.shownState?.()
      })
  const turn = builder.build(embedded, wake, state, recordSpending(builder))
  const emitted = await applyPolicy(builder.events)
  const [turnEntry, ...events] = await bus.encodeTurn(turn, [...emitted, ...engineAnswers])
  return { task, builder, turn: turn.data, turnEntry: turnEntry!, events, emitted, wake }
}

/** Marks what the code of a program threw, so that it is never taken for a failure of the log. */
class ProgramFault extends Error {}

function runProgramCode<T>(work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw new ProgramFault('the program threw', { cause: thrown })
  }
}

/** Why the task fails; undefined if the log is unavailable, which is not the task's fault. */
function faultOf(thrown: unknown): ErrorData | undefined {
  if (thrown instanceof ProgramFault) return failureData(thrown.cause, 'E_PROGRAM_FAILED')
  if (thrown instanceof TidingsError && thrown.retryable) return undefined
  return failureData(thrown, 'E_PROGRAM_FAILED')
}
