import { taskId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { isRouted, matchInstance } from './instances.ts'
import type { ProgramDefinition } from './program.ts'
import { startsOn } from './rules.ts'

/** A task that an event may start or join. */
export interface TaskStart {
  readonly task: string
  /** The program to start; undefined where the event only goes to a task that has started already. */
  readonly program?: string
  readonly joins?: true
}

/** The programs of a worker, by name and version. New tasks start with the newest version; a running task keeps its own. */
export class Programs {
  readonly #byName: ReadonlyMap<string, ProgramDefinition[]>
  readonly newest: ReadonlyMap<string, ProgramDefinition>
  /** Workflows that have one instance per key. */
  readonly keyed: readonly ProgramDefinition[]
  /** By type. */
  readonly #awaiting = new Map<string, Set<string>>()
  readonly #workflows: readonly ProgramDefinition[]

  constructor(definitions: readonly ProgramDefinition[]) {
    this.#byName = Map.groupBy(definitions, ({ name }) => name)
    for (const versions of this.#byName.values()) versions.sort((a, b) => b.version - a.version)
    this.newest = new Map([...this.#byName].map(([name, [newest]]) => [name, newest!]))
    this.#workflows = [...this.newest.values()].filter(program => program.instances)
    // Of all versions, because a task continues with its own.
    for (const { name, waitsFor = [] } of definitions)
      for (const type of waitsFor) this.#awaiting.set(type, (this.#awaiting.get(type) ?? new Set()).add(name))
    this.keyed = this.#workflows.filter(program => program.instances!.key)
  }

  startsOf(event: CloudEvent): TaskStart[] {
    const starts: TaskStart[] = []
    for (const [name, program] of this.newest)
      if (startsOn(program, event)) starts.push({ program: name, task: taskId(event.correlationid, name, event.id) })
    for (const program of this.#workflows) {
      const match = matchInstance(program, event)
      if (match) starts.push({ ...(match.begins && { program: program.name }), task: match.instance, joins: true })
    }
    return starts
  }

  /** The keyed workflows to whose instances an event is forwarded. */
  routedTo(event: CloudEvent): ProgramDefinition[] {
    return this.keyed.filter(program => isRouted(program, event))
  }

  /** The programs whose tasks may wait for this event. */
  awaiting({ type }: CloudEvent): ReadonlySet<string> | undefined {
    return this.#awaiting.get(type)
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  /** Whether the program is a workflow, so that its tasks are instances. */
  isInstance(name: string): boolean {
    return this.#byName.get(name)?.some(({ instances }) => instances) ?? false
  }

  /**
   * The definition that continues a task last decided by `version`: the same version if it is hosted here, else the newest.
   * @throws E_PROGRAM_VERSION if a newer version decided it, E_PROGRAM_MISMATCH if the program is not hosted here
   */
  for(task: string, name: string, version: number): ProgramDefinition {
    const versions = this.#byName.get(name)
    if (!versions)
      throw new TidingsError(
        'E_PROGRAM_MISMATCH',
        `task ${task} belongs to "${name}", which this worker does not host`,
        { retryable: true },
      )
    const [highest] = versions as [ProgramDefinition]
    if (version > highest.version)
      throw new TidingsError(
        'E_PROGRAM_VERSION',
        `version ${version} of "${name}" decided task ${task}, but this worker has version ${highest.version}`,
        { retryable: true },
      )
    return versions.find(definition => definition.version === version) ?? highest
  }
}
