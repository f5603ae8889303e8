import type { Bus } from '../../bus/bus.ts'
import { didYouMean } from '../../suggest.ts'
import { TidingsError } from '../../errors.ts'
import type { JsonSchema } from '../../schema.ts'
import { declaredApps, type DeclaredApp, type DeclaredResource } from '../../tasks/declared-apps.ts'
import { hostsOn } from '../../tasks/hosts.ts'
import {
  inField,
  mcpCallerName,
  mcpPromptName,
  mcpResourceName,
  modelToolName,
  textInput,
} from '../../tasks/offered-input.ts'
import { variablesIn } from './uri-template.ts'

/** What an app publishes, as a tool of MCP. */
export interface PublishedTool {
  /** As MCP clients know it. */
  readonly name: string
  readonly kind: 'agent' | 'workflow' | 'tool'
  /** The agent or workflow that a call asks. */
  readonly program: string
  readonly description: string
  /** Of an object. */
  readonly inputSchema: JsonSchema
  /** Whether the input is the field `input` of the arguments. */
  readonly isWrapped: boolean
  readonly outputSchema?: JsonSchema
  readonly isReadOnly?: boolean
}

/** A prompt that an app publishes. */
export interface PublishedPrompt {
  /** As MCP clients know it. */
  readonly name: string
  readonly title?: string
  readonly description: string
  /** The agent that makes it. */
  readonly program: string
  /** Of an object. */
  readonly input: JsonSchema
}

/** A resource that an app publishes, or a template of some. */
export interface PublishedResource extends DeclaredResource {
  /** The agent that reads it. */
  readonly program: string
}

/** What one app publishes. */
interface PublishedByApp {
  readonly tools: readonly PublishedTool[]
  readonly prompts: readonly PublishedPrompt[]
  readonly resources: readonly PublishedResource[]
}

const cacheTtlMs = 1_000

/** What the apps of a log publish. */
export class Catalog {
  readonly #bus: Bus
  #known: PublishedByApp | undefined
  /** On the monotonic clock. */
  #readAt = -Infinity

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** In the order of the apps' names, and in each as it lists them. */
  async list(): Promise<readonly PublishedTool[]> {
    return (await this.#read()).tools
  }

  /** @throws E_NOT_FOUND */
  find(name: string): Promise<PublishedTool> {
    return this.#find('tool', name, async maxAgeMs => (await this.#read(maxAgeMs)).tools)
  }

  async prompts(): Promise<readonly PublishedPrompt[]> {
    return (await this.#read()).prompts
  }

  /** @throws E_NOT_FOUND */
  findPrompt(name: string): Promise<PublishedPrompt> {
    return this.#find('prompt', name, async maxAgeMs => (await this.#read(maxAgeMs)).prompts)
  }

  async resources(): Promise<readonly PublishedResource[]> {
    return (await this.#read()).resources
  }

  /** The resource under an address, and the values of the variables there. An address comes before a template. */
  async resourceAt(uri: string) {
    const { resources } = await this.#read(cacheTtlMs)
    const found = resources.flatMap(resource => {
      const variables = variablesIn(resource.uri, uri)
      return variables ? [{ resource, variables }] : []
    })
    return found.find(({ resource }) => resource.uri === uri) ?? found[0]
  }

  async #find<T extends { readonly name: string }>(
    kind: 'tool' | 'prompt',
    name: string,
    read: (maxAgeMs: number) => Promise<readonly T[]>,
  ): Promise<T> {
    const known = (await read(cacheTtlMs)).find(each => each.name === name)
    if (known) return known
    const all = await read(0)
    const found = all.find(each => each.name === name)
    if (found) return found
    const names = all.map(each => each.name)
    throw new TidingsError(
      'E_NOT_FOUND',
      `unknown ${kind} "${name.slice(0, 80)}"${didYouMean(name, names) || (names.length > 0 ? `; there are: ${names.slice(0, 20).join(', ')}` : '')}`,
      { next: `${kind}s/list names what the apps publish: the option \`mcp\` of app().` },
    )
  }

  async #read(maxAgeMs = 0): Promise<PublishedByApp> {
    if (this.#known && performance.now() - this.#readAt < maxAgeMs) return this.#known
    const [apps, hosts] = await Promise.all([declaredApps(this.#bus), hostsOn(this.#bus)])
    const of = <T extends { readonly program: string }>(read: (app: DeclaredApp) => readonly T[]) =>
      // An agent may have moved to another app.
      apps.flatMap(app => read(app).filter(({ program }) => hosts[program] === app.app))
    const known = {
      // Two apps may publish an agent and a tool of one name.
      tools: firstOfEachName(of(toolsOf)),
      prompts: firstOfEachName(of(promptsOf)),
      resources: firstOfEachName(of(resourcesOf)),
    }
    this.#known = known
    this.#readAt = performance.now()
    return known
  }
}

const firstOfEachName = <T extends { readonly name: string }>(all: readonly T[]): T[] => {
  const seen = new Set<string>()
  return all.filter(({ name }) => !seen.has(name) && seen.add(name))
}

const promptsOf = ({ published = [], agents }: DeclaredApp): PublishedPrompt[] =>
  published.flatMap(each => {
    if (each.kind !== 'prompt') return []
    const { kind: _, name, ...about } = each
    const program = mcpPromptName(name)
    const input = agents.find(agent => agent.name === program)?.input ?? { type: 'object' }
    return [{ ...about, name: modelToolName(name), program, input }]
  })

const resourcesOf = ({ published = [] }: DeclaredApp): PublishedResource[] =>
  published.flatMap(each => (each.kind === 'resource' ? [{ ...each, program: mcpResourceName(each.name) }] : []))

function toolsOf({ published = [], agents, workflows, tools }: DeclaredApp): PublishedTool[] {
  return published.flatMap(({ kind, name }): PublishedTool[] => {
    if (kind === 'prompt' || kind === 'resource') return []
    const shared = { name: modelToolName(name), kind }
    if (kind === 'tool') {
      const tool = tools.find(each => each.name === name)
      if (!tool) return []
      const { description, readOnly: isReadOnly } = tool
      const about = { ...shared, description, isReadOnly, ...outputOf(tool.output) }
      return [{ ...about, program: mcpCallerName(name), ...inputOf(tool.input ?? { type: 'object' }) }]
    }
    const program = [...agents, ...workflows].find(each => each.name === name)
    if (!program) return []
    const description = program.description ?? `${kind === 'agent' ? 'Asks the agent' : 'Runs the workflow'} "${name}".`
    const { output } = program as { output?: JsonSchema }
    return [{ ...shared, description, program: name, ...outputOf(output), ...inputOf(program.input ?? textInput) }]
  })
}

const inputOf = (schema: JsonSchema) => {
  const isWrapped = schema.type !== 'object'
  return { inputSchema: isWrapped ? inField(schema) : schema, isWrapped }
}

const outputOf = (schema: JsonSchema | undefined) => (schema?.type === 'object' ? { outputSchema: schema } : {})
