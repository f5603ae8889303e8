import type { Bus } from '../bus/bus.ts'
import type { JsonSchema } from '../schema.ts'
import type { Budget } from './budget.ts'

/*
 * What the apps of a log declare, for people and forms: the document `declared/APP` of each app, as its newest worker with the role
 * `agents` wrote it, and their names in the document `declared`. A gateway in another process knows agents and schemas only from there.
 */

/** What an app declares. Schemas are JSON Schemas, absent where there is none. */
export interface DeclaredApp {
  readonly app: string
  /** How long events stay, in ms. */
  readonly retention: number
  /** The most that one correlation may spend; without what has no limit. Absent where an older worker wrote it. */
  readonly budget?: Readonly<Partial<Budget>>
  readonly agents: readonly DeclaredAgent[]
  readonly workflows: readonly DeclaredWorkflow[]
  readonly tools: readonly DeclaredTool[]
  readonly models: readonly { readonly name: string }[]
  readonly types: readonly DeclaredType[]
  /** What MCP clients may call and read. Absent: nothing. */
  readonly published?: readonly Publication[]
}

/** Something of an app that MCP clients may call or read. */
export type Publication =
  | { readonly kind: 'agent' | 'workflow' | 'tool'; readonly name: string }
  | { readonly kind: 'prompt'; readonly name: string; readonly title?: string; readonly description: string }
  | DeclaredResource

/** A resource of an app: see `resource()`. */
export interface DeclaredResource {
  readonly kind: 'resource'
  readonly name: string
  readonly uri: string
  readonly title?: string
  readonly description?: string
  readonly mediaType?: string
  readonly complete?: Readonly<Record<string, readonly string[]>>
}

/** What agents and workflows have in common. */
interface DeclaredProgram {
  readonly name: string
  readonly version: number
  readonly hash: string
  readonly description?: string | undefined
  readonly input?: JsonSchema | undefined
  /** Types of the events that start it. */
  readonly on: readonly string[]
}

/** An agent of an app. */
export interface DeclaredAgent extends DeclaredProgram {
  readonly output?: JsonSchema | undefined
  /** Of a model agent: its model, and the names of what it may call. */
  readonly model?: string | undefined
  readonly tools?: readonly string[] | undefined
}

/** A workflow of an app. One that events start has no input. */
export interface DeclaredWorkflow extends DeclaredProgram {
  readonly callable: boolean
}

/** A tool of an app. */
export interface DeclaredTool {
  readonly name: string
  readonly description: string
  readonly input?: JsonSchema | undefined
  readonly output?: JsonSchema | undefined
  readonly readOnly: boolean
  readonly atMostOnce: boolean
  /** Whether a person must approve calls, or some of them. */
  readonly approval: boolean
}

/** An event type of an app. */
export interface DeclaredType {
  readonly type: string
  readonly schema?: JsonSchema | undefined
}

const namesKey = 'declared'
const appKey = (app: string) => `declared/${app}`
/** A document may be one message of a broker. Beyond that, the names are worth more than the schemas. */
const maxChars = 512 * 1024

/** Stores what an app declares. @throws E_LOG_UNAVAILABLE */
export async function declareApp(bus: Bus, declared: DeclaredApp): Promise<void> {
  const { app } = declared
  const value = JSON.stringify(declared).length <= maxChars ? declared : withoutSchemas(declared)
  await bus.documents.update<DeclaredApp>(appKey(app), current =>
    JSON.stringify(current) === JSON.stringify(value) ? undefined : value,
  )
  await bus.documents.update<readonly string[]>(
    namesKey,
    (names = []) => (names.includes(app) ? names : [...names, app].toSorted()),
    { namesOnly: true },
  )
}

/** What the apps declare that ever ran on this log, in the order of their names. */
export async function declaredApps(bus: Bus): Promise<DeclaredApp[]> {
  const names = (await bus.documents.read<readonly string[]>(namesKey)) ?? []
  const found = await Promise.all(names.map(name => bus.documents.read<DeclaredApp>(appKey(name))))
  return found.filter(each => each !== undefined)
}

function withoutSchemas({ agents, workflows, tools, types, ...rest }: DeclaredApp): DeclaredApp {
  const bare = <T extends object>(each: T): T => ({ ...each, input: undefined, output: undefined, schema: undefined })
  return { ...rest, agents: agents.map(bare), workflows: workflows.map(bare), tools: tools.map(bare), types: types.map(bare) } // biome-ignore format: one object
}
