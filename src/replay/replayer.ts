import { textOf, TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Programs } from '../tasks/programs.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import { restoreTask, startTask, type SnapshotState, type Task } from '../tasks/task.ts'
import { divergenceContext, type Divergence } from './divergence.ts'
import { TurnAssembler, replayedTaskOf, type LoggedTurn } from './turn-assembler.ts'
import { collectHints, type Hints } from './nondeterminism.ts'
import type { TurnProgress } from './messages.ts'
import { ShadowTask } from './shadow.ts'

/** What a replay saw. Lists are in the order of the log. */
export interface ReplayOutcome {
  readonly tasks: number
  readonly turns: number
  /** Turns that came out otherwise. */
  readonly diverged: number
  readonly divergences: readonly Divergence[]
  /** Tasks that could not be replayed, or not to their end, and why. */
  readonly skipped: readonly { task: string; why: string }[]
}

export interface ReplayerOptions {
  /** Programs that do not come to an end, and are not run. */
  readonly stuck?: readonly string[]
  /** Told of each turn before code runs for it. */
  readonly onTurn?: (progress: TurnProgress) => void
}

/** A definition of a workflow, as JSON, under its hash. */
export interface PinnedDefinition {
  readonly hash: string
  readonly text: string
}

/** Several outcomes as one, in this order. */
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

/**
 * Replays recorded turns against these programs, as their events come in. Nothing but the programs is run: no model, no
 * tool, and nothing is written.
 */
export class Replayer {
  readonly #programs: Programs
  readonly #stuck: readonly string[]
  readonly #onTurn: ReplayerOptions['onTurn']
  readonly #histories = new TurnAssembler()
  readonly #live = new Map<string, ShadowTask | 'skipped'>()
  readonly #pinned = new Map<string, PinnedDefinition>()
  readonly #divergences: Divergence[] = []
  readonly #skipped: { task: string; why: string }[] = []
  /** Of which a turn was judged, or that go on from their snapshot. */
  #tasks = 0
  #turns = 0
  #diverged = 0

  constructor(programs: Programs, { stuck = [], onTurn }: ReplayerOptions = {}) {
    this.#programs = programs
    this.#stuck = stuck
    this.#onTurn = onTurn
  }

  /** The next event of the log, with its data at hand. */
  async add(position: number, event: CloudEvent): Promise<void> {
    const task = replayedTaskOf(event)
    if (task === undefined) return
    for (const recording of this.#histories.add(task, position, event)) await this.#turn(recording)
  }

  /** This instance of a workflow is replayed by the definition that it goes by, and not by that of the app. */
  pin(task: string, pinned: PinnedDefinition): void {
    this.#pinned.set(task, pinned)
  }

  /** The next turns of this task follow on a snapshot. */
  async resume(task: string, snapshot: string): Promise<void> {
    const state = JSON.parse(snapshot) as SnapshotState
    const begin = async () => restoreTask(await this.#definition(task, state.name, state.version), task, state)
    const shadow = await this.#startShadow(task, begin)
    this.#live.set(task, shadow)
    if (shadow === 'skipped') return
    this.#count(shadow)
    this.#histories.skipTo(task, shadow.task.head)
  }

  finish(): ReplayOutcome {
    for (const { task, turn } of this.#histories.incomplete)
      this.#skipped.push({ task, why: `turn ${turn}, or an event of it, is not there` })
    return {
      tasks: this.#tasks,
      turns: this.#turns,
      diverged: this.#diverged,
      divergences: this.#divergences,
      skipped: this.#skipped,
    }
  }

  async #turn(recording: LoggedTurn): Promise<void> {
    const { task, turn, inputs } = recording
    let shadow = this.#live.get(task)
    if (!shadow) {
      const begin = async () => {
        const definition = await this.#definition(task, turn.program, turn.programVersion)
        this.#onTurn?.({ context: divergenceContext(recording, definition), sourceLocation: definition.at })
        return startTask(definition, task, inputs[0]!)
      }
      this.#live.set(task, (shadow = await this.#startShadow(task, begin)))
    }
    if (shadow !== 'skipped' && !shadow.ended) await this.#judge(shadow, recording)
    if (turn.end) this.#live.delete(task)
  }

  async #judge(shadow: ShadowTask, recording: LoggedTurn): Promise<void> {
    const { programVersion, programHash, programAt } = shadow.task.identity
    const found = divergenceContext(recording, { version: programVersion, hash: programHash })
    this.#onTurn?.({ context: found, sourceLocation: programAt })
    const divergences = await collectHints(shadow.hints, () => shadow.turn(recording, found))
    if (!divergences) return
    this.#count(shadow)
    this.#turns++
    if (divergences.length > 0) this.#diverged++
    this.#divergences.push(...divergences)
  }

  #count(shadow: ShadowTask) {
    if (!shadow.judged) this.#tasks++
    shadow.judged = true
  }

  async #definition(task: string, name: string, version: number): Promise<ProgramDefinition> {
    if (this.#stuck.includes(name)) throw new Error(`${name} got stuck in another of its tasks, and is not run again`)
    const hosted = this.#programs.for(task, name, version)
    const pinned = this.#pinned.get(task)
    return (pinned && hosted.pinned?.(pinned.hash, async () => pinned.text)) ?? hosted
  }

  async #startShadow(id: string, begin: () => Task | Promise<Task>): Promise<ShadowTask | 'skipped'> {
    try {
      const notes: Hints = new Map()
      return await collectHints(notes, async () => new ShadowTask(await begin(), notes))
    } catch (error) {
      // Whatever the code of one task throws, the others are replayed.
      this.#skipped.push({
        task: id,
        why: error instanceof TidingsError ? `${error.code}: ${error.message}` : textOf(error),
      })
      return 'skipped'
    }
  }
}
