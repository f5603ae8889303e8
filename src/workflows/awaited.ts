import type { Bus } from '../bus/bus.ts'
import { definitionDocument } from '../tasks/instances.ts'
import type { Turn } from '../tasks/program.ts'
import { CompiledWorkflow } from './compile.ts'
import type { Definition } from './definition.ts'
import { openTypes } from './match.ts'
import type { InstanceState } from './state.ts'

/** The types of the events that a workflow instance waits for, by its newest turn. Empty for any other task. */
export async function awaitedTypes(bus: Bus, { program, programHash, state }: Turn): Promise<string[]> {
  const { at, wait } = (state ?? {}) as Partial<InstanceState>
  if (wait?.kind !== 'when' || at === undefined) return []
  const definition = await bus.documents.read<Definition>(definitionDocument(program, programHash))
  if (!definition) return []
  const code = new CompiledWorkflow(definition, programHash)
  const here = code.instructions[code.indexOf(at) ?? -1]
  return here?.op === 'when' ? [...new Set(openTypes(here.node, wait))] : []
}
