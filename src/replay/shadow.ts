import type { CloudEvent } from '../event.ts'
import { textOf } from '../errors.ts'
import { isTombstone } from '../tasks/load.ts'
import { sourceLocation } from '../stack.ts'
import type { Machine, Turn } from '../tasks/program.ts'
import type { Task } from '../tasks/task.ts'
import { stateOf } from '../tasks/turn.ts'
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
import { TracedTurn } from './traced-turn.ts'

/*
 * Teacher-forced: each turn is decided on the inputs that were recorded, by today's code in the state that the recorded
 * events give it, so that one divergence does not hide the next. Straight-line code has no state but where it stands: it is
 * followed up to its first divergence.
 *
 *     recorded inputs ─▶ decide ─▶ compare with what was emitted ─▶ fold what was recorded ─▶ compare the state ─▶ next turn
 */

const engineErrors = new Set([
  'E_BUDGET_EXCEEDED',
  'E_TASK_HOPS',
  'E_TURN_TOO_LARGE',
  'E_EVENT_TOO_LARGE',
  'E_EVENT_INVALID',
])

/** A recorded task beside today's code. */
export class ShadowTask {
  readonly task: Task
  /** Nothing that comes after can be judged. */
  ended = false
  /** It counts as replayed. */
  judged = false
  #stateDiverged = false
  /** What its code was seen to do. */
  readonly hints: Hints
  /** Straight-line code. */
  readonly #chained: boolean
  /** Of a call that was made: the line that made it. */
  readonly #callLocations = new Map<string, string>()

  constructor(task: Task, notes: Hints) {
    this.task = task
    this.hints = notes
    this.#chained = isChained(task.machine)
  }

  /** How the next turn comes out; undefined when the runtime took it, and the program was not asked. */
  async turn(recording: LoggedTurn, found: DivergenceContext): Promise<Divergence[] | undefined> {
    const { turn, emitted } = recording
    if (isEndedByEngine(turn, emitted)) {
      this.ended = true
      return undefined
    }
    const watched = new TracedTurn(this.task.identity, recording)
    const divergences = await this.#decide(found, recording, watched)
    if (this.#chained && divergences.length > 0) this.ended = true
    try {
      // A program that threw then, as it does now, was asked nothing more.
      if (!watched.fault || divergences.length > 0) this.task.accepted(turn.emits, emitted)
      this.task.advance(turn, 0)
      const changes = this.#stateChanges(turn)
      // A state that went another way stays so: it is told once.
      if (changes && !this.#stateDiverged) divergences.push(stateDivergence(found, changes, this.#programAt))
      this.#stateDiverged = changes !== undefined
    } catch (error) {
      // Without a state there is nothing to judge the next turns by.
      this.ended = true
      if (divergences.length === 0) divergences.push(this.#thrown(found, error))
    }
    if (turn.end) this.ended = true
    const hints = [...this.hints.values()]
    return hints.length > 0 ? divergences.map(each => ({ ...each, hints })) : divergences
  }

  async #decide(
    found: DivergenceContext,
    { turn, inputs, emitted }: LoggedTurn,
    watched: TracedTurn,
  ): Promise<Divergence[]> {
    const { machine } = this.task
    const arrived = inputs.map(({ call }) => this.#callLocations.get(call ?? '')).findLast(place => place !== undefined)
    try {
      await this.task.decide(inputs, watched)
      const differences = compareEmits(
        comparableEmits(turn.emits, emitted),
        comparableEmits(watched.emits, watched.events),
      )
      if (differences.length > 0) {
        if (watched.fault) return [this.#thrown(found, watched.fault.thrown, arrived)]
        const hasFailed = differences.some(each => 'after' in each && each.after.type === 'agent.task.failed')
        if (hasFailed && machine.thrown !== undefined) return [this.#thrown(found, machine.thrown, arrived)]
      }
      this.#rememberLocations(turn, watched)
      return differences.map(difference => {
        const place = 'after' in difference ? watched.sourceLocationOf(difference.after.id) : undefined
        return emitDivergence(found, difference, place ?? arrived ?? this.#programAt)
      })
    } catch (error) {
      return [this.#thrown(found, error, arrived)]
    }
  }

  #thrown(found: DivergenceContext, error: unknown, arrived?: string): Divergence {
    const place = sourceLocation(error instanceof Error ? error.stack : undefined)
    return thrownDivergence(found, textOf(asRefusal(error)), place ?? arrived ?? this.#programAt)
  }

  get #programAt() {
    return this.task.identity.programAt
  }

  #rememberLocations({ emits }: LoggedTurn['turn'], watched: TracedTurn) {
    if (!this.#chained) return
    watched.emits.forEach(({ id, wait }, i) => {
      const place = wait && watched.sourceLocationOf(id)
      if (place) this.#callLocations.set(emits[i]?.id ?? id, place)
    })
  }

  /** Undefined when the state is as it was, or nothing was recorded of it. */
  #stateChanges({ state, stateHash }: Turn) {
    if (state === undefined && stateHash === undefined) return undefined
    const json = this.task.machine.snapshot()
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

/** Straight-line code keeps no state; a program whose `init` throws has none either. */
function isChained(machine: Machine): boolean {
  try {
    return machine.snapshot() === undefined
  } catch {
    return true
  }
}

/** The runtime ended the task, whatever the program wanted. */
function isEndedByEngine(turn: Turn, emitted: readonly CloudEvent[]): boolean {
  if (turn.version === 1 && isTombstone(turn.inputs[0])) return true
  if (turn.end !== 'failed') return false
  const failed = emitted.find(({ type }) => type === 'agent.task.failed')
  return engineErrors.has((failed?.data as { error?: { code?: string } } | undefined)?.error?.code ?? '')
}
