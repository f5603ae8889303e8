import { TidingsError } from '../errors.ts'
import type { Schema } from '../schema.ts'
import { definitionDocument } from '../tasks/instances.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import { Code } from './compile.ts'
import type { Definition } from './definition.ts'
import { WorkflowMachine } from './machine.ts'

interface Told {
  /** Where it is defined, as `path:line:column`. */
  readonly at?: string
  readonly input?: Schema
}

/** A workflow as the engine hosts it. What instances of other definitions go by is read from the log. */
export function workflowProgram(definition: Definition, told: Told = {}): ProgramDefinition {
  const code = new Code(definition)
  const { name, version, key } = definition
  const known = new Map<string, ProgramDefinition>()
  const { types } = code
  const program: ProgramDefinition = {
    name,
    version,
    hash: code.hash,
    on: [],
    isBuiltIn: true,
    ...(told.at !== undefined && { at: told.at }),
    ...(types.length > 0 && { instances: { types, ...(key && { key }) } }),
    document: { key: definitionDocument(name, code.hash), text: JSON.stringify(definition) },
    machine: (_, redactor, snapshot) => new WorkflowMachine(code, told.input, redactor, snapshot),
    async pinned(hash, read) {
      const cached = known.get(hash)
      if (cached) return cached
      const { redactor } = this
      const found = { ...workflowProgram(await readDefinition(name, hash, read), told), ...(redactor && { redactor }) }
      known.set(hash, found)
      return found
    },
  }
  return program
}

/** @throws E_PROGRAM_MISMATCH when it is not there */
export async function readDefinition(
  name: string,
  hash: string,
  read: (key: string) => Promise<string | undefined>,
): Promise<Definition> {
  const text = await read(definitionDocument(name, hash))
  if (text !== undefined) return JSON.parse(text) as Definition
  throw new TidingsError('E_PROGRAM_MISMATCH', `the definition ${hash} of workflow ${name} is not in the log`)
}
