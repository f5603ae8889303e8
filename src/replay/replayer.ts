import { textOf, TidingsError } from '../errors.ts'
import type { Position } from '../bus/driver.ts'
import type { CloudEvent } from '../event.ts'
import type { Programs } from '../tasks/programs.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import { startTask, Task, type SnapshotState } from '../tasks/task.ts'
import { divergenceContext, type Divergence } from './divergence.ts'
import { TurnAssembler, replayedTaskOf, type LoggedTurn } from './turn-assembler.ts'
import { collectHints, type Hints } from './nondeterminism.ts'
import type { TurnProgress } from './messages.ts'
import { ShadowTask } from './shadow.ts'

/** Result of a replay. Lists are in log order. */
export interface ReplayOutcome {
  readonly tasks: number
  readonly turns: number
  /** Number of turns with at least one divergence. */
  readonly diverged: number
  readonly divergences: readonly Divergence[]
  /** Tasks that were not replayed, or not to their end, and why. */
  readonly skipped: readonly { task: string; why: string }[]
}

export interface ReplayerOptions {
  /** Programs that got stuck and are not run. */
  readonly stuck?: readonly string[]
  /** Called before each turn runs. */
  readonly onTurn?: (progress: TurnProgress) => void
}

/** A workflow definition, as JSON, with its hash. */
export interface PinnedDefinition {
  readonly hash: string
  readonly text: string
}

export function combineOutcomes(outcomes: readonly ReplayOutcome[]): ReplayOutcome {
  const sum = (count: (outcome: ReplayOutcome) => number) =>
    outcomes.reduce((total, outcome) => total + count(outcome), 0)
  return {
    tasks: sum(({ tasks }) => tasks),
    turns: sum(({ turns }) => turns),
    diverged: sum(({ diverged }) => diverged),
    divergences: outcomes.flatMap(({ divergences }) => divergences),
    skipped: outcomes.flatMap(({ skipped }) => skipped),
  }
}

/** Replays recorded turns against programs as their events arrive. Runs no model and no tool, and writes nothing. */
export class Replayer {
  readonly #programs: Programs
  readonly #options: ReplayerOptions
  readonly #histories = new TurnAssembler()
  readonly #live = new Map<string, ShadowTask | 'skipped'>()
  readonly #pinned = new Map<string, PinnedDefinition>()
  readonly #divergences: Divergence[] = []
  readonly #skipped: { task: string; why: string }[] = []
  /** `tasks`: those with a compared turn or a restored snapshot. */
  readonly #counts = { tasks: 0, turns: 0, diverged: 0 }

  constructor(programs: Programs, options: ReplayerOptions = {}) {
    this.#programs = programs
    this.#options = options
  }

  /** Adds the next event of the log, with its data. */
  async add(position: Position, event: CloudEvent): Promise<void> {
    const task = replayedTaskOf(event)
    if (task === undefined) return
    for (const recording of this.#histories.add(task, position, event)) await this.#turn(recording)
  }

  /** Replays a workflow instance by this definition instead of that of the app. */
  pin(task: string, pinned: PinnedDefinition): void {
    this.#pinned.set(task, pinned)
  }

  async resume(task: string, snapshot: string): Promise<void> {
    const state = JSON.parse(snapshot) as SnapshotState
    const begin = async () => {
      const definition = await this.#definition(task, state.name, state.version)
      return new Task({ definition, task, start: state.start, snapshot: state })
    }
    const shadow = await this.#startShadow(task, begin)
    this.#live.set(task, shadow)
    if (shadow === 'skipped') return
    this.#count(shadow)
    this.#histories.skipTo(task, shadow.task.head)
  }

  finish(): ReplayOutcome {
    for (const { task, turn } of this.#histories.incomplete)
      this.#skipped.push({ task, why: `turn ${turn}, or an event that it emitted, is missing` })
    return { ...this.#counts, divergences: this.#divergences, skipped: this.#skipped }
  }

  async #turn(recording: LoggedTurn): Promise<void> {
    const { task, turn } = recording
    let shadow = this.#live.get(task)
    if (!shadow) {
      const begin = async () => {
        const definition = await this.#definition(task, turn.program, turn.programVersion)
        this.#options.onTurn?.({ context: divergenceContext(recording, definition), sourceLocation: definition.at })
        return startTask(definition, task, turn.inputs[0]!)
      }
      this.#live.set(task, (shadow = await this.#startShadow(task, begin)))
    }
    if (shadow !== 'skipped' && !shadow.ended) await this.#compare(shadow, recording)
    if (turn.end) this.#live.delete(task)
  }

  async #compare(shadow: ShadowTask, recording: LoggedTurn): Promise<void> {
    const { programVersion, programHash, programAt } = shadow.task.identity
    const context = divergenceContext(recording, { version: programVersion, hash: programHash })
    this.#options.onTurn?.({ context, sourceLocation: programAt })
    const divergences = await collectHints(shadow.hints, () => shadow.turn(recording, context))
    if (!divergences) return
    this.#count(shadow)
    this.#counts.turns++
    if (divergences.length > 0) this.#counts.diverged++
    this.#divergences.push(...divergences)
  }

  #count(shadow: ShadowTask) {
    if (!shadow.isCounted) this.#counts.tasks++
    shadow.isCounted = true
  }

  async #definition(task: string, name: string, version: number): Promise<ProgramDefinition> {
    if (this.#options.stuck?.includes(name)) throw new Error(`${name} got stuck in another task and is not run again`)
    const hosted = this.#programs.for(task, name, version)
    const pinned = this.#pinned.get(task)
    return (pinned && hosted.pinned?.(pinned.hash, async () => pinned.text)) ?? hosted
  }

  async #startShadow(id: string, begin: () => Task | Promise<Task>): Promise<ShadowTask | 'skipped'> {
    try {
      const hints: Hints = new Map()
      return await collectHints(hints, async () => new ShadowTask(await begin(), hints))
    } catch (error) {
      // An error in one task must not stop the replay of the others.
      const why = error instanceof TidingsError ? `${error.code}: ${error.message}` : textOf(error)
      this.#skipped.push({ task: id, why })
      return 'skipped'
    }
  }
}
