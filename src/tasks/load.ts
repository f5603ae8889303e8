import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { correlationOf, turnId } from '../bus/ids.ts'
import { routedType } from '../bus/routed.ts'
import { isFork, type Fork } from './fork.ts'
import { readNewestTurns } from './newest-turns.ts'
import type { Machine, ProgramDefinition, Turn } from './program.ts'
import type { Programs } from './programs.ts'
import { startTask, Task, type SnapshotState } from './task.ts'
import { turnType, type TaskIdentity } from './turn.ts'

/** Accepts any history and decides nothing. */
const passiveMachine: Machine = { maxTurns: Infinity, fold() {}, decide() {}, accepted() {}, snapshot: () => undefined }
const passive = (definition: ProgramDefinition): ProgramDefinition => ({ ...definition, machine: () => passiveMachine })

/** A task whose cancellation arrived before its start. */
export const tombstone = (definition: ProgramDefinition, task: string, cancel: CloudEvent) =>
  new Task({ definition: passive(definition), task, start: cancel })

/** Whether this is the first input of a task that was cancelled before its start arrived. */
export const isTombstone = (first: Pick<CloudEvent, 'type'> | undefined) => first?.type === 'agent.cancel'

/** The newest snapshot of a task, its later turns, and the events that they emitted. */
interface TaskHistory {
  readonly snapshot: SnapshotState | undefined
  readonly turns: readonly Turn[]
  readonly byId: ReadonlyMap<string, CloudEvent>
}

/** Begins tasks, and rebuilds them from their journals. */
export class TaskLoader {
  readonly #bus: Bus
  readonly #programs: Programs

  constructor(bus: Bus, programs: Programs) {
    this.#bus = bus
    this.#programs = programs
  }

  /** A new task under the newest definition; a retry uses the definition of the failed task. */
  async begin(program: string, task: string, delivered: CloudEvent): Promise<Task> {
    const first = await this.#bus.resolve(delivered)
    const hash = isFork(first.type) ? (first.data as Fork).definition : undefined
    return startTask(await this.#pinned(this.#programs.newest.get(program)!, hash), task, first)
  }

  /**
   * Rebuilds a task from its journal: the snapshot, then every later turn. Undefined if it has no turn yet.
   * @throws E_PROGRAM_VERSION if a newer version decided it, E_PROGRAM_MISMATCH if the code decides differently
   */
  async resume(task: string): Promise<Task | undefined> {
    return this.#resume(task, await this.#read(task))
  }

  /**
   * Like {@link resume}. The code of an ended task is not run, so it need not be hosted here or match the journal.
   * `onlyToCancel`: resumes a task only to cancel it, even if its code no longer matches the journal.
   */
  async load(task: string, onlyToCancel: boolean): Promise<Task | undefined> {
    const history = await this.#read(task)
    if (history.turns.at(-1)?.end) return this.#loadEnded(task, history)
    try {
      return await this.#resume(task, history)
    } catch (error) {
      if (!onlyToCancel || !(error instanceof TidingsError) || error.code !== 'E_PROGRAM_MISMATCH' || error.retryable)
        throw error
      return this.#resume(task, history, passive)
    }
  }

  /** The task before its next turn. `first`: the first input of that turn. */
  async reload({ task, program }: TaskIdentity, first: CloudEvent): Promise<Task> {
    return (await this.resume(task)) ?? this.begin(program, task, first)
  }

  /**
   * The newest task of a `continueAs` chain, which may have no turn yet. Undefined if the chain has ended, or if there is none. The first
   * tasks of a long chain may be purged.
   */
  async latestSuccessor(task: string): Promise<string | undefined> {
    const turns = await readNewestTurns(this.#bus, correlationOf(task))
    let newest = turns.has(task)
      ? task
      : [...turns].find(([, turn]) => turn.continues === task && isUnfinished(turn))?.[0]
    if (newest === undefined) return undefined
    for (let turn = turns.get(newest); turn?.successor !== undefined; turn = turns.get(newest)) newest = turn.successor
    const last = turns.get(newest)
    return newest !== task && (!last || isUnfinished(last)) ? newest : undefined
  }

  async #read(task: string): Promise<TaskHistory> {
    const { snapshot, records } = await this.#bus.journal(task)
    const turns: Turn[] = []
    for (const event of records)
      if (event.type === turnType) turns.push(((await this.#bus.resolve(event)) as CloudEvent<Turn>).data)
    return {
      snapshot: snapshot && (JSON.parse(snapshot.state) as SnapshotState),
      turns,
      byId: new Map(records.map(event => [event.id, event])),
    }
  }

  async #resume(
    task: string,
    { snapshot, turns, byId }: TaskHistory,
    adapt = (definition: ProgramDefinition) => definition,
  ): Promise<Task | undefined> {
    const bus = this.#bus
    const hosted = (name: string, version: number) => adapt(this.#programs.for(task, name, version))
    const [first, newest] = [turns[0], turns.at(-1)]
    const deciding = newest && hosted(newest.program, newest.programVersion)
    let resumed: Task | undefined
    if (snapshot) {
      const definition = deciding ?? hosted(snapshot.name, snapshot.version)
      const pinned = await this.#pinned(definition, snapshot.hash)
      resumed = new Task({ definition: pinned, task, start: snapshot.start, snapshot })
    }
    for (const turn of turns) {
      const inputs = await Promise.all(turn.inputs.map(input => bus.resolve(input)))
      const absent = turn.emits.find(({ id }) => !byId.has(id))
      if (absent) throw missing(absent.id)
      const emitted = await Promise.all(turn.emits.map(({ id }) => bus.resolve(byId.get(id)!)))
      resumed ??= await startTask(await this.#pinned(deciding!, first!.programHash), task, inputs[0]!)
      if (turn.version !== resumed.head + 1) throw missing(turnId(task, resumed.head + 1))
      await resumed.fold({ turn: { ...turn, inputs }, emitted })
      resumed.advance(turn, JSON.stringify(turn).length)
    }
    return resumed
  }

  /** The definition that a task uses: a workflow instance keeps the one that it started with. */
  async #pinned(hosted: ProgramDefinition, hash: string | undefined): Promise<ProgramDefinition> {
    if (hash === undefined || hash === hosted.hash || !hosted.pinned) return hosted
    return hosted.pinned(hash, async key => await this.#bus.documents.readText(key))
  }

  async #loadEnded(task: string, history: TaskHistory): Promise<Task> {
    const { snapshot, turns } = history
    const { program, programVersion, programHash } = turns.at(-1)!
    const [first] = turns
    // Only workflow instances are asked which events they received, and their snapshot knows more than the rest of the journal.
    const before =
      snapshot && this.#programs.isInstance(program) ? await this.#resume(task, { ...history, turns: [] }) : undefined
    const received = new Set(
      turns.flatMap(({ inputs }) =>
        inputs.map(({ id, type, causationid }) => (type === routedType ? causationid : id)),
      ),
    )
    const machine: Machine = {
      ...passiveMachine,
      hasSeen: event =>
        received.has(event.type === routedType ? event.causationid : event.id) ||
        (before?.machine.hasSeen?.(event) ?? false),
    }
    const definition = { name: program, version: programVersion, hash: programHash, on: [], machine: () => machine }
    const loaded = new Task({ definition, task, start: first!.inputs[0]! })
    loaded.isTombstone = first!.version === 1 && isTombstone(first!.inputs[0])
    for (const turn of turns) loaded.advance(turn, 0)
    return loaded
  }
}

const missing = (id: string) =>
  new TidingsError('E_PROGRAM_MISMATCH', `the journal has no event ${id}, which a turn emitted`)

const isUnfinished = ({ end }: Turn) => end === undefined || end === 'continued'
