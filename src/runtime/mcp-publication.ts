import { agent, type Agent } from '../agents/agent.ts'
import { TidingsError } from '../errors.ts'
import type { Publication } from '../tasks/declared-apps.ts'
import { mcpCallerName, modelToolName, reservedMcpNames } from '../tasks/offered-input.ts'
import type { AnyTool } from '../tools/tool.ts'
import type { AnyWorkflow } from './app.ts'

/** What an app may publish over MCP. */
export type Publishable = Agent<never, unknown> | AnyWorkflow | AnyTool

/** What MCP clients may call, and the agents that call the tools for them. */
interface Published {
  readonly published: readonly Publication[]
  readonly callers: readonly Agent<never, unknown>[]
}

/**
 * Only tasks call tools, so that budgets, approvals and pauses hold. A tool is therefore published with a small agent that calls it.
 * @throws E_APP_INVALID
 */
export function publishOverMcp(app: string, members: readonly Publishable[], use: readonly unknown[]): Published {
  const invalid = (problem: string) => new TidingsError('E_APP_INVALID', `app "${app}": ${problem}`)
  const known = new Map<string, string>(reservedMcpNames.map(name => [name, 'the tools for tasks that run long']))
  for (const member of members) {
    const at = members.indexOf(member)
    if (!['agent', 'workflow', 'tool'].includes(member?.kind))
      throw invalid(`entry ${at} of mcp is not an agent, a workflow or a tool`)
    const { kind, name } = member
    if (!use.includes(member)) throw invalid(`mcp publishes the ${kind} "${name}", which is not in use: add it to both`)
    if (member.kind === 'workflow' && !member.data.callable)
      throw invalid(`mcp publishes the workflow "${name}", which only events start: give it an input schema`)
    const other = known.get(modelToolName(name))
    if (other !== undefined)
      throw invalid(`for MCP clients the ${kind} "${name}" has the same name as ${other}: rename it`)
    known.set(modelToolName(name), `the ${kind} "${name}"`)
  }
  return {
    published: members.map(({ kind, name }) => ({ kind, name })),
    callers: members.flatMap(member => (member.kind === 'tool' ? [callerOf(member)] : [])),
  }
}

const callerOf = (tool: AnyTool) =>
  agent(mcpCallerName(tool.name), {
    description: `Calls the tool "${tool.name}" for MCP clients.`,
    run: (ctx, input) => ctx.call(tool, input as never),
  })
