import type { LanguageModelV4 } from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import type { AnyEventType } from '../event.ts'
import type { Agent } from '../agents/agent.ts'
import { redactor, type Redaction, type Redactor } from '../bus/redact.ts'
import type { Model } from '../models/model.ts'
import { hostedTools, type McpServer } from '../mcp/client/mcp.ts'
import { oneForEachName } from '../models/shared-names.ts'
import { defaultBudget, type Budget } from '../tasks/budget.ts'
import { aDuration, aFlag, aList, aNumber, aText, checkOptions, optionsOf, type Check } from '../options.ts'
import type { Publication } from '../tasks/declared-apps.ts'
import type { Duration } from '../tasks/duration.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import type { AnyTool } from '../tools/tool.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Trigger } from '../triggers/trigger.ts'
import type { Workflow } from '../workflows/workflow.ts'
import { assertNoSecrets } from '../workflows/secrets.ts'
import { publishOverMcp, type Publishable } from './mcp-publication.ts'

/** A workflow of any state type. */
export type AnyWorkflow = Pick<Workflow, 'kind' | 'name' | 'description' | 'input' | 'data' | 'definition' | 'events'>

/** What an app consists of. */
export type AppMember =
  | Agent<never, unknown>
  | AnyTool
  | Model
  | Trigger
  | Sink
  | AnyWorkflow
  | AnyEventType
  | McpServer

/** What an app consists of, and its limits. */
export interface AppOptions {
  /** Workers with the same app name share its tasks. Default `app`. */
  name?: string
  use: readonly AppMember[]
  /** The most that one correlation may spend. Default: 1,000 calls, 10,000 events, 256 MiB; tokens and cost are not limited. */
  budget?: Partial<Budget>
  /** Maximum length of a chain of tasks that start each other. Default 32. */
  maxHops?: number
  /** How long to keep events that no live task and no consumer needs. Default seven days. */
  retention?: Duration
  /** What to redact in addition to secrets that are known by their shape. */
  redact?: Redaction
  /** What MCP clients may call: agents, workflows and tools of `use`. Default: nothing. */
  mcp?: readonly Publishable[]
}

/** What a worker hosts. Created by `app()`. */
export interface App {
  readonly kind: 'app'
  readonly name: string
  readonly use: readonly AppMember[]
  readonly agents: readonly Agent<never, unknown>[]
  readonly workflows: readonly AnyWorkflow[]
  /** The programs of the agents and workflows. */
  readonly programs: readonly ProgramDefinition[]
  readonly tools: readonly AnyTool[]
  /** The MCP servers whose tools are among its tools. */
  readonly servers: readonly McpServer[]
  readonly models: readonly Model[]
  readonly triggers: readonly Trigger[]
  readonly sinks: readonly Sink[]
  /** The event types in `use`, and those of agents and workflows. The worker refuses other data for them. */
  readonly events: readonly AnyEventType[]
  /** What MCP clients may call. */
  readonly published: readonly Publication[]
  readonly budget: Budget
  readonly maxHops: number
  readonly retention: Duration
  readonly redactor: Redactor
}

const atMost: Check = value => (value === Infinity ? undefined : aNumber(value))

const checks = {
  name: aText,
  use: aList,
  budget: optionsOf({ calls: atMost, events: atMost, bytes: atMost, tokens: atMost, cost: atMost } satisfies Record<
    keyof Budget,
    Check
  >),
  maxHops: aNumber,
  retention: aDuration,
  redact: optionsOf({ paths: aList, patterns: aList, defaults: aFlag } satisfies Record<keyof Redaction, Check>),
  mcp: aList,
} satisfies Record<keyof AppOptions, Check>

/**
 * The default export of an app file.
 * @throws E_APP_INVALID, E_APP_NAME_TAKEN
 * @example
 * export default app({
 *   name: 'shop',
 *   use: [helper, charge, paid],
 *   budget: { calls: 500, cost: 2 },
 *   redact: { paths: ['order.paid:data.card'] },
 *   mcp: [helper],
 * })
 */
export function app(options: AppOptions): App {
  checkOptions('app()', options, checks, ['use'])
  const { name = 'app', budget, maxHops = 32, retention = '7d' } = options
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
    throw new TidingsError(
      'E_APP_INVALID',
      `"${name}" is not a valid app name: use lower-case letters, digits and dashes, and start with a letter`,
    )
  const rules = redactor(options.redact)
  const { published, callers } = publishOverMcp(name, options.mcp ?? [], options.use)
  const use = [...options.use, ...callers]
  const seen = new Set<string>()
  for (const member of use) {
    if (!['agent', 'workflow', 'tool', 'model', 'trigger', 'sink', 'event', 'mcp'].includes(member?.kind))
      throw new TidingsError(
        'E_APP_INVALID',
        `app "${name}": entry ${use.indexOf(member)} of use is not an agent, workflow, tool, model, trigger, sink, MCP server or event type`,
      )
    // Two modules may describe one type, each with what it reads. The data must match all of them.
    if (member.kind === 'event') continue
    // Agents and workflows are called by the same events, so they share one set of names.
    const isProgram = member.kind === 'agent' || member.kind === 'workflow'
    const key = isProgram
      ? `agent or workflow "${member.name}" version ${member.definition.version}`
      : `${member.kind} "${member.name}"`
    if (rules.knownSecrets(member.name) !== member.name)
      throw new TidingsError(
        'E_APP_INVALID',
        `app "${name}": the name of entry ${use.indexOf(member)} of use, a ${member.kind}, contains a secret: rename it`,
      )
    if (seen.has(key)) throw new TidingsError('E_APP_NAME_TAKEN', `app "${name}" declares ${key} twice`)
    seen.add(key)
  }
  for (const member of use) if (member.kind === 'workflow') assertNoSecrets(member.data, rules)
  const servers = use.filter(member => member.kind === 'mcp')
  const tools: AnyTool[] = [...use.filter(member => member.kind === 'tool'), ...servers.flatMap(hostedTools)]
  for (const [tool, [, other]] of Map.groupBy(tools, each => each.name))
    if (other) throw new TidingsError('E_APP_NAME_TAKEN', `app "${name}" declares tool "${tool}" twice`)
  const agents = use.filter(member => member.kind === 'agent')
  const workflows = use.filter(member => member.kind === 'workflow')
  for (const each of agents) assertHandovers(name, each, [...agents, ...workflows])
  return {
    kind: 'app',
    name,
    use,
    agents,
    workflows,
    // Tasks redact their events and state by the rules of the app.
    programs: [...agents, ...workflows].map(({ definition }) => ({ ...definition, redactor: rules })),
    tools,
    servers,
    models: modelsOf(name, use),
    triggers: use.filter(member => member.kind === 'trigger'),
    sinks: use.filter(member => member.kind === 'sink'),
    events: [
      ...new Set([
        ...use.filter(member => member.kind === 'event'),
        ...[...agents, ...workflows].flatMap(({ events }) => events),
      ]),
    ],
    published,
    budget: { ...defaultBudget, ...budget },
    maxHops,
    retention,
    redactor: rules,
  }
}

/** What an agent hands a conversation over to by name must be a model agent too. */
function assertHandovers(
  app: string,
  { name, needs }: Agent<never, unknown>,
  programs: readonly (Agent<never, unknown> | AnyWorkflow)[],
) {
  for (const tool of needs?.tools ?? []) {
    if (tool.kind !== 'handover') continue
    const to = programs.find(program => program.name === tool.to.name)
    if (to && !('needs' in to))
      throw new TidingsError(
        'E_APP_INVALID',
        `app "${app}": "${name}" hands conversations over to "${tool.to.name}", which is no agent with a model`,
      )
  }
}

/** The models in `use`, and those of the agents. */
function modelsOf(name: string, use: readonly AppMember[]): Model[] {
  const declared = use.filter(member => member.kind === 'model')
  const needed = use.flatMap(member => (member.kind === 'agent' && member.needs ? [member.needs.model] : []))
  return oneForEachName(name, [...declared, ...(needed as (Model | LanguageModelV4)[])])
}
