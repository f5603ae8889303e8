import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { routedType } from '../bus/routed.ts'
import type { Machine, ProgramDefinition } from './program.ts'
import type { Programs } from './programs.ts'
import { beginTask, readHistory, resumeTask, Task, type TaskHistory } from './task.ts'

/** Follows any history, and decides nothing. */
const passiveMachine: Machine = { maxTurns: Infinity, fold() {}, decide() {}, accepted() {}, snapshot: () => undefined }

/** A task that ends before its program has decided anything: a cancellation came before its start. */
export const tombstone = (definition: ProgramDefinition, task: string, cancel: CloudEvent) =>
  new Task({ ...definition, machine: () => passiveMachine }, task, cancel)

/** Whether this was the first input of a task that was cancelled before its start came. */
export const isTombstone = (first: Pick<CloudEvent, 'type'> | undefined) => first?.type === 'agent.cancel'

/**
 * Brings a task back from its journal. One that has ended takes no further turn, so its code is not run: it need not be
 * hosted here, and need not fit any more. `toEnd`: a task that is only to be cancelled need not fit either.
 * @throws as {@link resumeTask}
 */
export async function loadTask(bus: Bus, programs: Programs, task: string, toEnd: boolean): Promise<Task | undefined> {
  const history = await readHistory(bus, task)
  if (history.turns.at(-1)?.end) return loadEnded(bus, programs, task, history)
  try {
    return await resumeTask(bus, programs, task, history)
  } catch (error) {
    if (!toEnd || !(error instanceof TidingsError) || error.code !== 'E_PROGRAM_MISMATCH' || error.retryable)
      throw error
    const machine = () => passiveMachine
    return resumeTask(bus, { for: (...which) => ({ ...programs.for(...which), machine }) }, task, history)
  }
}

/** A task as it was before its coming turn, whose first input is `first`. */
export async function reloadTask(
  bus: Bus,
  programs: Programs,
  newest: ReadonlyMap<string, ProgramDefinition>,
  { identity: { task, program } }: Task,
  first: CloudEvent,
): Promise<Task> {
  return (await resumeTask(bus, programs, task)) ?? beginTask(bus, newest.get(program)!, task, first)
}

async function loadEnded(bus: Bus, programs: Programs, task: string, history: TaskHistory): Promise<Task> {
  const { snapshot, turns } = history
  const { program, programVersion, programHash } = turns.at(-1)!
  const [first] = turns
  // Only an instance of a workflow is asked what it has taken, and its state remembers more than the journal holds.
  const before =
    snapshot && programs.isInstance(program)
      ? await resumeTask(bus, programs, task, { ...history, turns: [] })
      : undefined
  const taken = new Set(
    turns.flatMap(({ inputs }) => inputs.map(({ id, type, causationid }) => (type === routedType ? causationid : id))),
  )
  const machine: Machine = {
    ...passiveMachine,
    hasSeen: event =>
      taken.has(event.type === routedType ? event.causationid : event.id) ||
      (before?.machine.hasSeen?.(event) ?? false),
  }
  const definition = { name: program, version: programVersion, hash: programHash, on: [], machine: () => machine }
  const loaded = new Task(definition, task, first!.inputs[0]!)
  loaded.isTombstone = first!.version === 1 && isTombstone(first!.inputs[0])
  for (const turn of turns) loaded.advance(turn, 0)
  return loaded
}
