import type { Agent } from '../../src/agents/agent.ts'
import type { CloudEvent, Draft } from '../../src/event.ts'
import type { Model } from '../../src/models/model.ts'
import type { ProgramDefinition, Turn } from '../../src/tasks/program.ts'
import type { AnyTool } from '../../src/tools/tool.ts'

/** What happens while a worker dies, and how one knows afterwards that nothing came of it. */
export interface Story {
  /** The n-th time that it is told. */
  starts(n: number): Draft[]
  /** How each of its tasks ends, as `PROGRAM END`. */
  readonly ends: readonly string[]
  readonly agents: readonly Agent<never, unknown>[]
  readonly workflows?: readonly { readonly definition: ProgramDefinition }[]
  readonly models: readonly Model[]
  /** `home`: where effects are written down. */
  tools(home: string): AnyTool[]
  /** What must hold in the end, beside what must hold of every log. */
  checks(seen: Seen): Check[]
}

/** What the log has in the end. */
export interface Seen {
  readonly n: number
  readonly home: string
  /** Journals by task. */
  readonly turns: ReadonlyMap<string, readonly Turn[]>
  readonly events: ReadonlyMap<string, CloudEvent>
}

export type Check = readonly [whatIsWrong: string, isRight: boolean, seen: unknown]

/** A schema by hand: a library would cost each of many short processes a tenth of its life. */
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
