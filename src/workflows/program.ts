import type { Bus } from '../bus/bus.ts'
import { correlationOf, parseId } from '../bus/ids.ts'
import { notOnLog, TidingsError } from '../errors.ts'
import type { AnyEventType } from '../event.ts'
import type { Schema } from '../schema.ts'
import { definitionDocument } from '../tasks/instances.ts'
import { TaskLoader } from '../tasks/load.ts'
import type { ProgramDefinition, Turn } from '../tasks/program.ts'
import { Programs } from '../tasks/programs.ts'
import { CompiledWorkflow } from './compile.ts'
import { checkReceived } from './declared.ts'
import type { Definition } from './definition.ts'
import { toGraph, type Graph } from './graph.ts'
import { WorkflowMachine } from './machine.ts'
import type { InstanceState } from './state.ts'

interface WorkflowProgramOptions {
  /** Source location of the definition, as `path:line:column`. */
  readonly at?: string
  readonly input?: Schema
  /** Event types whose data is checked before an event is emitted, and before an instance takes one. */
  readonly events?: readonly AnyEventType[]
  /** The hash under which the definition was read from the log. */
  readonly hash?: string
}

/** A workflow as a program of the engine. Definitions of older instances are read from the log. */
export function workflowProgram(definition: Definition, options: WorkflowProgramOptions = {}): ProgramDefinition {
  const code = new CompiledWorkflow(definition, options.hash)
  const { name, version, key } = definition
  const known = new Map<string, ProgramDefinition>()
  const { types } = code
  const { events = [] } = options
  const program: ProgramDefinition = {
    name,
    version,
    hash: code.hash,
    on: [],
    isBuiltIn: true,
    ...(options.at !== undefined && { at: options.at }),
    ...(types.length > 0 && {
      instances: {
        types,
        ...(key && { key }),
        ...(events.length > 0 && { check: event => checkReceived(events, event) }),
      },
    }),
    document: { key: definitionDocument(name, code.hash), text: JSON.stringify(definition) },
    machine: (_, redactor, snapshot) => new WorkflowMachine({ code, input: options.input, events, redactor, snapshot }),
    async pinned(hash, read) {
      const cached = known.get(hash)
      if (cached) return cached
      const { redactor } = this
      const found = {
        ...workflowProgram(await readDefinition(name, hash, read), { ...options, hash }),
        ...(redactor && { redactor }),
      }
      known.set(hash, found)
      return found
    },
  }
  return program
}

/** @throws E_PROGRAM_MISMATCH if the definition is not on the log */
export async function readDefinition(
  name: string,
  hash: string,
  read: (key: string) => Promise<string | undefined>,
): Promise<Definition> {
  const text = await read(definitionDocument(name, hash))
  if (text !== undefined) return JSON.parse(text) as Definition
  throw new TidingsError('E_PROGRAM_MISMATCH', `the definition ${hash} of workflow "${name}" is not on the log`)
}

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
 * @example
 * const { nodes } = await instanceGraph(running.bus, shop.programs, handle.id)
 * show(nodes.filter(({ state }) => state === 'active'))
 */
export async function instanceGraph(bus: Bus, programs: readonly ProgramDefinition[], task: string): Promise<Graph> {
  const { definition, state } = await readInstance(bus, programs, task)
  return toGraph(definition, state)
}

/** The graph of an instance with the state of each step, and its definition, from the log alone. @throws E_NOT_FOUND */
export async function recordedGraph(
  bus: Bus,
  task: string,
  tenant: string,
): Promise<{ definition: Definition; hash: string; graph: Graph }> {
  const newest = (await bus.newestTurns(correlationOf(task))).find(({ id }) => parseId(id)!.task === task)
  const unknown = notOnLog(`the log has no workflow instance ${task}`)
  if (newest?.tenant !== tenant) throw unknown
  const { program, programHash: hash, state } = (await bus.resolve(newest)).data as Turn
  const text = await bus.documents.readText(definitionDocument(program, hash))
  if (text === undefined) throw unknown
  const definition = JSON.parse(text) as Definition
  // A turn records a small state; a larger one follows from the journal.
  const read = async () => (await readInstance(bus, [workflowProgram(definition, { hash })], task)).state
  return { definition, hash, graph: toGraph(definition, (state as InstanceState | undefined) ?? (await read())) }
}
