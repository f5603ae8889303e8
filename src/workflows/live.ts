import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import { Programs } from '../tasks/programs.ts'
import { resumeTask } from '../tasks/task.ts'
import type { Definition } from './definition.ts'
import { toGraph, type Graph } from './graph.ts'
import { readDefinition } from './program.ts'
import type { State } from './state.ts'

/** An instance as its journal has it, with the definition that it goes by. @throws E_NOT_FOUND, E_PROGRAM_MISMATCH */
export async function instanceOf(
  bus: Bus,
  programs: readonly ProgramDefinition[],
  task: string,
): Promise<{ definition: Definition; state: State }> {
  const found = await resumeTask(bus, new Programs(programs), task)
  const state = found?.machine.snapshot()
  if (!found || state === undefined) throw new TidingsError('E_NOT_FOUND', `there is no instance ${task}`)
  const { program, programHash } = found.identity
  const definition = await readDefinition(program, programHash, async key => await bus.documents.readText(key))
  return { definition, state: JSON.parse(state) as State }
}

/**
 * The graph of an instance, with where it has been and where it stands. `programs`: those of the app. `task`: its id, as the
 * events `agent.task.*` of its correlation name it. @throws E_NOT_FOUND, E_PROGRAM_MISMATCH
 */
export async function instanceGraph(bus: Bus, programs: readonly ProgramDefinition[], task: string): Promise<Graph> {
  const { definition, state } = await instanceOf(bus, programs, task)
  return toGraph(definition, state)
}
