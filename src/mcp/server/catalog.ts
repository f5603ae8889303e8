import type { Bus } from '../../bus/bus.ts'
import { didYouMean } from '../../suggest.ts'
import { TidingsError } from '../../errors.ts'
import type { JsonSchema } from '../../schema.ts'
import { declaredApps, type DeclaredApp, type Publication } from '../../tasks/declared-apps.ts'
import { hostsOn } from '../../tasks/hosts.ts'
import { inField, mcpCallerName, modelToolName, textInput } from '../../tasks/offered-input.ts'

/** What an app publishes, as a tool of MCP. */
export interface PublishedTool {
  /** As MCP clients know it. */
  readonly name: string
  readonly kind: Publication['kind']
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

const cacheTtlMs = 1_000

/** What the apps of a log publish. */
export class Catalog {
  readonly #bus: Bus
  #known: ReadonlyMap<string, PublishedTool> = new Map()
  /** On the monotonic clock. */
  #readAt = -Infinity

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** In the order of the apps' names, and in each as it lists them. */
  async list(): Promise<PublishedTool[]> {
    const [apps, hosts] = await Promise.all([declaredApps(this.#bus), hostsOn(this.#bus)])
    const tools = apps.flatMap(app =>
      // An agent may have moved to another app.
      toolsOf(app).filter(({ program }) => hosts[program] === app.app),
    )
    // Two apps may publish an agent and a tool of one name.
    this.#known = new Map(tools.toReversed().map(tool => [tool.name, tool]))
    this.#readAt = performance.now()
    return tools.filter(tool => this.#known.get(tool.name) === tool)
  }

  /** @throws E_NOT_FOUND */
  async find(name: string): Promise<PublishedTool> {
    if (!this.#known.has(name) || performance.now() - this.#readAt > cacheTtlMs) await this.list()
    const tool = this.#known.get(name)
    if (tool) return tool
    const names = [...this.#known.keys()].toReversed()
    throw new TidingsError(
      'E_NOT_FOUND',
      `unknown tool "${name.slice(0, 80)}"${didYouMean(name, names) || (names.length > 0 ? `; there are: ${names.slice(0, 20).join(', ')}` : '')}`,
      { next: 'tools/list names what the apps publish: the option `mcp` of app().' },
    )
  }
}

function toolsOf({ published = [], agents, workflows, tools }: DeclaredApp): PublishedTool[] {
  return published.flatMap(({ kind, name }): PublishedTool[] => {
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
