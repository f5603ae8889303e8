import type { CloudEvent } from '../event.ts'
import { textOf } from '../errors.ts'
import { isTombstone } from '../tasks/load.ts'
import { sourceLocation } from '../stack.ts'
import type { EmittedRef, Machine, Turn } from '../tasks/program.ts'
import type { Task } from '../tasks/task.ts'
import { stateOf, TurnBuilder, type AddressedRequest, type TaskIdentity } from '../tasks/turn.ts'
import { compareEmits, diffJson, comparableEmits } from './compare.ts'
import type { Hints } from './nondeterminism.ts'
import { asRefusal } from './isolation.ts'
import {
  emitDivergence,
  stateDivergence,
  thrownDivergence,
  type Divergence,
  type DivergenceContext,
} from './divergence.ts'
import type { LoggedTurn } from './turn-assembler.ts'

/*
 * Teacher-forced: today's code decides each turn on the recorded inputs, in the state that the recorded events produce, so that one
 * divergence does not hide the next. Straight-line code has no state except its current position, so it is followed only up to its
 * first divergence.
 *
 *     recorded inputs ─▶ decide ─▶ compare with the recorded events ─▶ fold the recorded turn ─▶ compare the state ─▶ next turn
 */

const engineErrors = new Set([
  'E_BUDGET_EXCEEDED',
  'E_TASK_HOPS',
  'E_TURN_TOO_LARGE',
  'E_EVENT_TOO_LARGE',
  'E_EVENT_INVALID',
])

/** Runs today's code on the turns of a recorded task. */
export class ShadowTask {
  readonly task: Task
  /** No later turn can be compared. */
  ended = false
  isCounted = false
  #stateDiverged = false
  readonly hints: Hints
  /** Whether it is straight-line code. */
  readonly #chained: boolean
  /** The line that made each call, by call id. */
  readonly #callLocations = new Map<string, string>()

  constructor(task: Task, hints: Hints) {
    this.task = task
    this.hints = hints
    this.#chained = isChained(task.machine)
  }

  /** Compares the next turn. Undefined if the runtime decided it in place of the program. */
  async turn(recording: LoggedTurn, context: DivergenceContext): Promise<Divergence[] | undefined> {
    const { turn, emitted } = recording
    if (isEndedByEngine(turn, emitted)) {
      this.ended = true
      return undefined
    }
    const watched = new TracedTurn(this.task.identity, recording)
    const divergences = await this.#decide(context, recording, watched)
    if (this.#chained && divergences.length > 0) this.ended = true
    try {
      // A program that threw in both runs emitted nothing to accept.
      if (!watched.fault || divergences.length > 0) this.task.accepted(turn.emits, emitted)
      this.task.advance(turn, 0)
      const changes = this.#stateChanges(turn)
      // A state that diverged once stays different, so it is reported once.
      if (changes && !this.#stateDiverged) divergences.push(stateDivergence(context, changes, this.#programAt))
      this.#stateDiverged = changes !== undefined
    } catch (error) {
      // Without a state the next turns cannot be compared.
      this.ended = true
      if (divergences.length === 0) divergences.push(this.#thrown(context, error))
    }
    if (turn.end) this.ended = true
    const hints = [...this.hints.values()]
    return hints.length > 0 ? divergences.map(each => ({ ...each, hints })) : divergences
  }

  async #decide(context: DivergenceContext, { turn, emitted }: LoggedTurn, watched: TracedTurn): Promise<Divergence[]> {
    const { machine } = this.task
    const arrived = turn.inputs
      .map(({ call }) => this.#callLocations.get(call ?? ''))
      .findLast(location => location !== undefined)
    try {
      await this.task.decide(turn.inputs, watched)
      const differences = compareEmits(
        comparableEmits(turn.emits, emitted),
        comparableEmits(watched.emits, watched.events),
      )
      if (differences.length > 0) {
        if (watched.fault) return [this.#thrown(context, watched.fault.thrown, arrived)]
        const hasFailed = differences.some(each => 'after' in each && each.after.type === 'agent.task.failed')
        if (hasFailed && machine.thrown !== undefined) return [this.#thrown(context, machine.thrown, arrived)]
      }
      this.#rememberLocations(turn, watched)
      return differences.map(difference => {
        const location = 'after' in difference ? watched.sourceLocationOf(difference.after.id) : undefined
        return emitDivergence(context, difference, location ?? arrived ?? this.#programAt)
      })
    } catch (error) {
      return [this.#thrown(context, error, arrived)]
    }
  }

  #thrown(context: DivergenceContext, error: unknown, arrived?: string): Divergence {
    const location = sourceLocation(error instanceof Error ? error.stack : undefined)
    return thrownDivergence(context, textOf(asRefusal(error)), location ?? arrived ?? this.#programAt)
  }

  get #programAt() {
    return this.task.identity.programAt
  }

  #rememberLocations({ emits }: LoggedTurn['turn'], watched: TracedTurn) {
    if (!this.#chained) return
    watched.emits.forEach(({ id, wait }, i) => {
      const location = wait && watched.sourceLocationOf(id)
      if (location) this.#callLocations.set(emits[i]?.id ?? id, location)
    })
  }

  /** Undefined if the state is equal or was not recorded. */
  #stateChanges({ state, stateHash }: Turn) {
    if (state === undefined && stateHash === undefined) return undefined
    const json = this.task.machine.snapshot() ?? this.task.machine.shownState?.()
    if (json === undefined) return undefined
    const now = stateOf(json)
    if (stateHash !== undefined || now.stateHash !== undefined) {
      const same = stateHash !== undefined && stateHash === now.stateHash
      return same ? undefined : diffJson({ digest: stateHash ?? 'small' }, { digest: now.stateHash ?? 'small' })
    }
    const changes = diffJson(state, now.state)
    return changes.length > 0 ? changes : undefined
  }
}

/** Straight-line code has no snapshot, and neither has a program whose `init` throws. */
function isChained(machine: Machine): boolean {
  try {
    return machine.snapshot() === undefined
  } catch {
    return true
  }
}

/** Whether the runtime ended the task in place of the program. */
function isEndedByEngine(turn: Turn, emitted: readonly CloudEvent[]): boolean {
  if (turn.version === 1 && isTombstone(turn.inputs[0])) return true
  if (turn.end !== 'failed') return false
  const failed = emitted.find(({ type }) => type === 'agent.task.failed')
  return engineErrors.has((failed?.data as { error?: { code?: string } } | undefined)?.error?.code ?? '')
}

/** Collects what a turn emits today, with the source line. A call with a recorded key gets its recorded id. */
class TracedTurn extends TurnBuilder {
  readonly #recorded: ReadonlyMap<string | undefined, string>
  readonly #stacks = new Map<string, Error>()

  constructor(identity: TaskIdentity, { turn }: LoggedTurn) {
    super({ identity, version: turn.version, inputs: turn.inputs, now: turn.at })
    this.#recorded = new Map(turn.emits.flatMap(({ id, wait }) => (wait?.key === undefined ? [] : [[wait.key, id]])))
  }

  protected override add(request: AddressedRequest, wait?: EmittedRef['wait'], given?: string): string {
    const id = super.add(request, wait, given)
    this.#stacks.set(id, new Error())
    return this.#recorded.get(wait?.key) ?? id
  }

  /** The line that emitted an event, as `path:line:column`; undefined if no user code did. */
  sourceLocationOf(id: string): string | undefined {
    return sourceLocation(this.#stacks.get(id)?.stack)
  }
}
