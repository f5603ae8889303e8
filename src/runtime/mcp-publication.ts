import { agent, type Agent } from '../agents/agent.ts'
import { TidingsError } from '../errors.ts'
import type { Prompt } from '../mcp/server/prompt.ts'
import type { Resource } from '../mcp/server/resource.ts'
import type { Publication } from '../tasks/declared-apps.ts'
import {
  mcpCallerName,
  mcpPromptName,
  mcpResourceName,
  modelToolName,
  reservedMcpNames,
} from '../tasks/offered-input.ts'
import type { AnyTool } from '../tools/tool.ts'
import type { AnyWorkflow } from './app.ts'

/** What an app may publish over MCP. */
export type Publishable = Agent<never, unknown> | AnyWorkflow | AnyTool | Prompt | Resource

/** What MCP clients may call and read, and the agents that do it for them. */
interface Published {
  readonly published: readonly Publication[]
  readonly callers: readonly Agent<never, unknown>[]
}

const kinds = ['agent', 'workflow', 'tool', 'prompt', 'resource']

/**
 * Only tasks call tools, so that budgets, approvals and pauses hold. A tool is therefore published with a small agent that calls it, and a prompt or
 * resource is one.
 * @throws E_APP_INVALID
 */
export function publishOverMcp(app: string, members: readonly Publishable[], use: readonly unknown[]): Published {
  const invalid = (problem: string) => new TidingsError('E_APP_INVALID', `app "${app}": ${problem}`)
  const known = new Map<string, string>(
    reservedMcpNames.map(name => [`tool ${name}`, 'the tools for tasks that run long']),
  )
  for (const member of members) {
    const at = members.indexOf(member)
    if (!kinds.includes(member?.kind))
      throw invalid(`entry ${at} of mcp is not an agent, a workflow, a tool, a prompt or a resource`)
    const { kind, name } = member
    const isTool = kind !== 'prompt' && kind !== 'resource'
    if (isTool && !use.includes(member))
      throw invalid(`mcp publishes the ${kind} "${name}", which is not in use: add it to both`)
    if (kind === 'workflow' && !member.data.callable)
      throw invalid(`mcp publishes the workflow "${name}", which only events start: give it an input schema`)
    const key = `${isTool ? 'tool' : kind} ${modelToolName(name)}`
    const other = known.get(key)
    if (other !== undefined)
      throw invalid(`for MCP clients the ${kind} "${name}" has the same name as ${other}: rename it`)
    known.set(key, `the ${kind} "${name}"`)
  }
  return { published: members.map(publicationOf), callers: members.flatMap(callersOf) }
}

function publicationOf(member: Publishable): Publication {
  const { kind, name } = member
  if (kind === 'prompt') {
    const { title, description } = member.options
    return { kind, name, description, ...(title !== undefined && { title }) }
  }
  if (kind !== 'resource') return { kind, name }
  const { run: _, ...about } = member.options
  return { kind, name, ...about }
}

function callersOf(member: Publishable): Agent<never, unknown>[] {
  const { kind, name } = member
  if (kind === 'tool')
    return [
      agent(mcpCallerName(name), {
        description: `Calls the tool "${name}" for MCP clients.`,
        run: (ctx, input) => ctx.call(member, input),
      }),
    ]
  if (kind === 'prompt') {
    const { description, input, run } = member.options
    return [agent(mcpPromptName(name), { description, ...(input && { input }), run })]
  }
  if (kind !== 'resource') return []
  const { description = `Reads the resource "${name}".`, run } = member.options
  return [agent(mcpResourceName(name), { description, run: (ctx, variables: never) => run(ctx, variables) })]
}
