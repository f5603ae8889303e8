import { TidingsError } from '../errors.ts'
import type { ProgramDefinition } from './program.ts'

/** The programs of a worker, by name and version. New tasks start with the highest; a task goes on with the one that it has. */
export class Programs {
  readonly #byName = new Map<string, ProgramDefinition[]>()

  constructor(definitions: readonly ProgramDefinition[]) {
    for (const definition of definitions) {
      const versions = [...(this.#byName.get(definition.name) ?? []), definition]
      this.#byName.set(
        definition.name,
        versions.sort((a, b) => b.version - a.version),
      )
    }
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  /** Whether its tasks are instances of a workflow. */
  isInstance(name: string): boolean {
    return this.#byName.get(name)?.some(({ instances }) => instances) ?? false
  }

  /** Of each name the highest version: it takes new tasks. */
  get newest(): ProgramDefinition[] {
    return [...this.#byName.values()].map(([first]) => first!)
  }

  /**
   * What goes on with a task that this version wrote: the same where it is here, else the highest.
   * @throws E_PROGRAM_VERSION when a newer program wrote it, E_PROGRAM_MISMATCH when the program is not here.
   */
  for(task: string, name: string, version: number): ProgramDefinition {
    const versions = this.#byName.get(name)
    if (!versions)
      throw new TidingsError('E_PROGRAM_MISMATCH', `task ${task} belongs to ${name}, which is not in this worker`, {
        retryable: true,
      })
    const [highest] = versions as [ProgramDefinition]
    if (version > highest.version)
      throw new TidingsError(
        'E_PROGRAM_VERSION',
        `task ${task} was written by version ${version} of ${name}, this is ${highest.version}`,
        { retryable: true },
      )
    return versions.find(definition => definition.version === version) ?? highest
  }
}
