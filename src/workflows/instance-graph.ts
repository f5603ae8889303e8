import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { TaskLoader } from '../tasks/load.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import { Programs } from '../tasks/programs.ts'
import type { Definition } from './definition.ts'
import { toGraph, type Graph } from './graph.ts'
import { readDefinition } from './program.ts'
import type { InstanceState } from './state.ts'

/** The state of an instance from its journal, with its definition. @throws E_NOT_FOUND, E_PROGRAM_MISMATCH */
export async function readInstance(
  bus: Bus,
  programs: readonly ProgramDefinition[],
  task: string,
): Promise<{ definition: Definition; state: InstanceState }> {
  const found = await new TaskLoader(bus, new Programs(programs)).resume(task)
  const state = found?.machine.snapshot()
  if (!found || state === undefined) throw new TidingsError('E_NOT_FOUND', `no instance "${task}" on this log`)
  const { program, programHash } = found.identity
  const definition = await readDefinition(program, programHash, async key => await bus.documents.readText(key))
  return { definition, state: JSON.parse(state) as InstanceState }
}

/**
 * The graph of an instance with the state of each step.
 * @param programs programs of the app
 * @param task task id of the instance, as in the `agent.task.*` events of its correlation
 * @throws E_NOT_FOUND, E_PROGRAM_MISMATCH
 */
export async function instanceGraph(bus: Bus, programs: readonly ProgramDefinition[], task: string): Promise<Graph> {
  const { definition, state } = await readInstance(bus, programs, task)
  return toGraph(definition, state)
}
