import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { routedType } from '../bus/routed.ts'
import type { Machine, ProgramDefinition } from './program.ts'
import type { Programs } from './programs.ts'
import { beginTask, readHistory, resumeTask, Task, type TaskHistory } from './task.ts'
import type { TaskIdentity } from './turn.ts'

/** Accepts any history and decides nothing. */
const passiveMachine: Machine = { maxTurns: Infinity, fold() {}, decide() {}, accepted() {}, snapshot: () => undefined }

/** A task whose cancellation arrived before its start. */
export const tombstone = (definition: ProgramDefinition, task: string, cancel: CloudEvent) =>
  new Task({ definition: { ...definition, machine: () => passiveMachine }, task, start: cancel })

/** Whether this is the first input of a task that was cancelled before its start arrived. */
export const isTombstone = (first: Pick<CloudEvent, 'type'> | undefined) => first?.type === 'agent.cancel'

/**
 * Rebuilds a task from its journal. The code of an ended task is not run, so it need not be hosted here or match the journal.
 * `onlyToCancel`: resumes a task only to cancel it, even if its code no longer matches the journal.
 * @throws as {@link resumeTask}
 */
export async function loadTask(
  bus: Bus,
  programs: Programs,
  task: string,
  onlyToCancel: boolean,
): Promise<Task | undefined> {
  const history = await readHistory(bus, task)
  if (history.turns.at(-1)?.end) return loadEnded(bus, programs, task, history)
  try {
    return await resumeTask(bus, programs, task, history)
  } catch (error) {
    if (!onlyToCancel || !(error instanceof TidingsError) || error.code !== 'E_PROGRAM_MISMATCH' || error.retryable)
      throw error
    const machine = () => passiveMachine
    return resumeTask(bus, { for: (...which) => ({ ...programs.for(...which), machine }) }, task, history)
  }
}

/** The task before its next turn. `first`: the first input of that turn. */
export async function reloadTask(
  bus: Bus,
  programs: Programs,
  { task, program }: TaskIdentity,
  first: CloudEvent,
): Promise<Task> {
  return (await resumeTask(bus, programs, task)) ?? beginTask(bus, programs.newest.get(program)!, task, first)
}

async function loadEnded(bus: Bus, programs: Programs, task: string, history: TaskHistory): Promise<Task> {
  const { snapshot, turns } = history
  const { program, programVersion, programHash } = turns.at(-1)!
  const [first] = turns
  // Only workflow instances are asked which events they received, and their snapshot knows more than the rest of the journal.
  const before =
    snapshot && programs.isInstance(program)
      ? await resumeTask(bus, programs, task, { ...history, turns: [] })
      : undefined
  const received = new Set(
    turns.flatMap(({ inputs }) => inputs.map(({ id, type, causationid }) => (type === routedType ? causationid : id))),
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
