import type { CloudEvent } from '../event.ts'
import { errorData, failure, textOf, TidingsError, type ErrorDetails } from '../errors.ts'
import { plainRedactor } from '../bus/redact.ts'
import { messageType } from './asked.ts'
import { noSpending, addSpending, recordedSpending, type Spending } from './budget.ts'
import { remainingAfter, type EarlierCall } from './earlier-calls.ts'
import {
  visibleEmits,
  forkedStart,
  visibleInputs,
  isFork,
  retryType,
  visibleTurn,
  type Fork,
  type OriginalCall,
} from './fork.ts'
import {
  sourceOf,
  withoutTrace,
  type EmittedRef,
  type TaskEnd,
  type Machine,
  type ProgramDefinition,
  type RecordedTurn,
  type Turn,
} from './program.ts'
import { openCall, type OpenCall, type TaskIdentity, type TurnBuilder } from './turn.ts'
import { deadlineOfAsk } from './asked.ts'

const snapshotTurns = 64

export interface TaskOptions {
  readonly definition: ProgramDefinition
  readonly task: string
  readonly start: CloudEvent
  readonly snapshot?: SnapshotState | undefined
}

/** One task in memory: its machine, the version of its newest turn, and its open calls. Rebuilt from the journal when it is not cached. */
export class Task {
  identity: TaskIdentity
  readonly machine: Machine
  head = 0
  end: TaskEnd | undefined
  readonly open = new Map<string, OpenCall>()
  /** A cancellation ended the task before its start arrived. */
  isTombstone = false
  /** What all its turns spent. */
  spent = noSpending
  /** The task that continues this one after `continueAs`. */
  successor: string | undefined
  readonly #originalCall: OriginalCall = call => this.open.get(call)?.as
  #turnsSince = 0
  #bytesSince = 0
  #snapshotBytes = 0

  constructor({ definition, task, start, snapshot }: TaskOptions) {
    const { redactor = plainRedactor } = definition
    this.identity = {
      task,
      program: definition.name,
      source: sourceOf(definition),
      programVersion: definition.version,
      programHash: definition.hash,
      ...(definition.at && { programAt: definition.at }),
      ...(definition.isBuiltIn && { isBuiltIn: true }),
      start,
      hops: start.hops + 1,
      redactor,
    }
    this.machine = definition.machine(withoutTrace(start), redactor, snapshot?.program)
    if (!snapshot) return
    this.head = snapshot.head
    this.spent = addSpending(noSpending, snapshot.spent ?? {})
    this.#snapshotBytes = snapshot.program.length
    for (const call of snapshot.open) this.open.set(call.id, call)
    if (snapshot.again) this.setEarlierCalls(snapshot.again)
  }

  /** Runs the program on the inputs. Ends a task that was cancelled or has too many turns. */
  async decide(inputs: readonly CloudEvent[], builder: TurnBuilder): Promise<void> {
    const seen = visibleInputs(inputs, this.#originalCall)
    const cancel = seen.find(event => event.type === 'agent.cancel')
    if (cancel && !this.machine.canCompensate)
      return builder.cancel((cancel.data as { reason?: string } | null)?.reason ?? 'cancelled')
    // A fork may have no inputs and only repeat calls.
    if (seen.length > 0)
      try {
        this.#confirmMessages(seen, builder)
        await this.machine.decide(seen, builder)
      } catch (thrown) {
        // A workflow definition without this step needs an operator. Anything else that is thrown fails the task.
        if (this.machine.pinned && isMismatch(thrown)) throw thrown
        return builder.failWith(thrown)
      }
    const { maxTurns } = this.machine
    if (builder.version > maxTurns && !builder.end)
      builder.fail(
        failure(
          'E_TASK_TURNS',
          `the task has more than ${maxTurns} turns: continue with ctx.continueAs(input) before that`,
        ),
      )
    if (builder.end) return
    for (const { type, data } of inputs) {
      if (!isFork(type)) continue
      const { reissue, retries } = data as Fork
      for (const request of reissue) builder.reissue(request, retries?.[request.id])
    }
  }

  /** Before the program may end the task. The loop of a model agent confirms by itself. */
  #confirmMessages(inputs: readonly CloudEvent[], builder: TurnBuilder) {
    if (this.identity.isBuiltIn) return
    for (const event of inputs) if (event.type === messageType && this.machine.takes?.(event)) builder.confirm(event)
  }

  /** Repeats a recorded turn. @throws E_PROGRAM_MISMATCH if the code decides differently */
  async fold(recorded: RecordedTurn): Promise<void> {
    try {
      await this.machine.fold(visibleTurn(recorded, this.#originalCall))
    } catch (thrown) {
      const fork = `${this.identity.task}@${recorded.turn.version}`
      const advice = `\`tidings fork --from ${fork}\` continues from there with the current code`
      throw mismatch(thrown, recorded.turn, advice, { fork })
    }
  }

  /** Folds what an accepted turn emitted into the state of the program. */
  accepted(emits: readonly EmittedRef[], emitted: readonly CloudEvent[]): void {
    this.machine.accepted(visibleEmits(emits, emitted))
  }

  /** In a retry: calls that the failed task made. */
  setEarlierCalls(again: readonly EarlierCall[]) {
    this.identity = { ...this.identity, earlierCalls: again }
  }

  /** Cancels the calls whose answers the task no longer needs after this turn. Returns those that stay open. */
  cancelCalls(inputs: readonly CloudEvent[], expired: readonly OpenCall[], builder: TurnBuilder): OpenCall[] {
    // The program knows a call that a fork repeated under its first id.
    if (builder.cancelledCalls.size > 0)
      for (const { id, as } of this.open.values())
        if (as !== undefined && builder.cancelledCalls.delete(as)) builder.cancelCall(id)
    const closed = new Set([...inputs.map(event => event.call), ...builder.cancelledCalls])
    const stillOpen = [...this.open.values()].filter(call => !closed.has(call.id))
    for (const call of expired) builder.emitCancellation(call, 'its caller no longer waits for it')
    for (const id of builder.cancelledCalls)
      if (this.open.has(id)) builder.emitCancellation(this.open.get(id)!, 'it is not needed any more')
    if (builder.end)
      for (const call of [...stillOpen, ...builder.opened]) builder.emitCancellation(call, `task ${builder.end}`)
    return stillOpen
  }

  /** Updates the open calls and the version after an accepted turn. */
  advance(turn: Turn, bytes: number) {
    this.head = turn.version
    this.end = turn.end
    this.successor = turn.successor
    if (turn.spent) this.spent = addSpending(noSpending, turn.spent)
    for (const input of turn.inputs) if (input.call) this.open.delete(input.call)
    for (const call of turn.withdrawn ?? []) this.open.delete(call)
    for (const { id, type, wait } of turn.emits) if (wait) this.open.set(id, openCall({ id, type, wait }))
    const { earlierCalls: again = [] } = this.identity
    if (again.length > 0) this.setEarlierCalls(remainingAfter(again, turn.emits))
    this.#turnsSince++
    this.#bytesSince += bytes
    // After a migration the next turns record the new definition.
    const pinned = this.machine.pinned?.()
    if (pinned && pinned.hash !== this.identity.programHash)
      this.identity = { ...this.identity, programVersion: pinned.version, programHash: pinned.hash }
  }

  /** Calls that timed out, except those whose answer is in the inbox. */
  expired(now: number, isAtHand: (call: string) => boolean): OpenCall[] {
    return [...this.open.values()].filter(({ id, until }) => until !== null && until <= now && !isAtHand(id))
  }

  /** When the runtime cancels the task, in ms since the epoch; null for never, and while it undoes its steps. */
  get deadline(): number | null {
    return this.machine.isCompensating ? null : deadlineOfAsk(this.identity.start)
  }

  /** Whether to store a snapshot after the next turn: often enough to bound the fold, never more bytes than the turns. */
  get snapshotDue() {
    return this.#turnsSince + 1 >= snapshotTurns && this.#bytesSince >= this.#snapshotBytes
  }

  /** The snapshot after the newest turn; undefined for programs without snapshots. */
  snapshot(): string | undefined {
    const program = this.machine.snapshot()
    if (program === undefined) return undefined
    this.#turnsSince = 0
    this.#bytesSince = 0
    this.#snapshotBytes = program.length
    const { identity, head, open, spent } = this
    return JSON.stringify({
      name: identity.program,
      version: identity.programVersion,
      hash: identity.programHash,
      start: identity.start,
      head,
      open: [...open.values()],
      spent: recordedSpending(spent),
      ...(identity.earlierCalls && identity.earlierCalls.length > 0 && { again: identity.earlierCalls }),
      program,
    } satisfies SnapshotState)
  }
}

/** A new task before its first turn. @throws E_PROGRAM_MISMATCH if the code decides differently than the history of a fork */
export async function startTask(definition: ProgramDefinition, task: string, first: CloudEvent): Promise<Task> {
  if (!isFork(first.type)) return new Task({ definition, task, start: first })
  const { turns, state, again } = first.data as Fork
  const { name, version, hash } = definition
  const start = forkedStart(first)
  const snapshot = state === undefined ? undefined : { name, version, hash, start, head: 0, open: [], program: state }
  const started = new Task({ definition, task, start, snapshot })
  if (again) started.setEarlierCalls(again)
  let repeated: Turn | undefined
  try {
    for (const recorded of turns) {
      repeated = recorded.turn
      await started.machine.fold(recorded)
    }
  } catch (thrown) {
    const advice =
      first.type === retryType
        ? 'run the code that it was recorded with, then `tidings retry` of this task, which is parked'
        : 'a fork must begin there or before'
    throw mismatch(thrown, repeated!, advice)
  }
  return started
}

const isMismatch = (thrown: unknown) => errorData(thrown, 'E_PROGRAM_FAILED').code === 'E_PROGRAM_MISMATCH'

/** The error for code that cannot repeat a recorded turn. `advice`: what the user can do. */
function mismatch(thrown: unknown, { program, version }: Turn, advice: string, data?: ErrorDetails): TidingsError {
  const text = isMismatch(thrown)
    ? textOf(thrown)
    : `turn ${version} of ${program} cannot be repeated: ${textOf(thrown)}`
  return new TidingsError('E_PROGRAM_MISMATCH', `${text}; ${advice}`, { cause: thrown, ...(data && { data }) })
}

export interface SnapshotState {
  name: string
  version: number
  /** Hash of the workflow definition that the task uses. */
  hash?: string
  start: CloudEvent
  head: number
  open: OpenCall[]
  spent?: Partial<Spending>
  again?: readonly EarlierCall[]
  program: string
}
