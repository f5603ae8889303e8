import type { Agent } from '../../src/agents/agent.ts'
import type { CloudEvent, Draft } from '../../src/event.ts'
import type { Model } from '../../src/models/model.ts'
import type { ProgramDefinition, Turn } from '../../src/tasks/program.ts'
import type { AnyTool } from '../../src/tools/tool.ts'

/** What happens while a worker dies, and the checks that its death changed nothing. */
export interface Story {
  /** The events that start its n-th run. */
  starts(n: number): Draft[]
  /** The end of each of its tasks, as `PROGRAM END`. */
  readonly ends: readonly string[]
  readonly agents: readonly Agent<never, unknown>[]
  readonly workflows?: readonly { readonly definition: ProgramDefinition }[]
  readonly models: readonly Model[]
  /** `home`: the folder in which they record their effects. */
  tools(home: string): AnyTool[]
  /** Checks beside those for every log. */
  checks(seen: Seen): Check[]
}

/** The log at the end. */
export interface Seen {
  readonly n: number
  readonly home: string
  /** Journals by task. */
  readonly turns: ReadonlyMap<string, readonly Turn[]>
  readonly events: ReadonlyMap<string, CloudEvent>
}

export type Check = readonly [whatIsWrong: string, isRight: boolean, seen: unknown]

/** A schema without a library, which would take a tenth of the time of these short processes. */
export const numbered = <T extends { n: number }>() => ({
  '~standard': {
    version: 1 as const,
    vendor: 'boundaries',
    validate: (value: unknown) =>
      typeof (value as { n?: unknown } | null)?.n === 'number'
        ? { value: value as T }
        : { issues: [{ message: 'n is not a number' }] },
    jsonSchema: { input: () => ({ type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }) },
  },
})
