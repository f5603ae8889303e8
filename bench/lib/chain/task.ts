/*
 * The task that both contenders run: five agents, one after the other. An agent with tools asks its model, calls them at once, and asks again.
 * Together 12 calls, of which 8 go to the model.
 */

export const agents: Record<string, readonly ToolName[]> = {
  planner: [],
  researcher: ['search'],
  analyst: ['prices', 'rates'],
  writer: ['style'],
  reviewer: [],
}
export const agentNames = Object.keys(agents)
export const modelCallsPerTask = agentNames.reduce((sum, name) => sum + (agents[name]!.length > 0 ? 2 : 1), 0)

export type ToolName = 'search' | 'style' | 'prices' | 'rates'
/** In the chain, the analyst's tools are behind MCP and the others behind HTTP. */
export const httpTools: readonly ToolName[] = ['search', 'style']
export const mcpTools: readonly ToolName[] = ['prices', 'rates']

/** A result that comes later than this after its request arrived is worth nothing. */
export const goodWithinMs = 60_000
export const toolTimeoutMs = 10_000
export const modelTimeoutMs = 15_000

const toolMs = 20
const slowToolMs = 5_000

/** Whether the tool `prices` is slow at the moment. The supervisor says so. */
let isSlow = false
process.on('message', message => {
  if (Object(message).slow !== undefined) isSlow = (message as { slow: boolean }).slow
})

/** What a tool does: it waits. */
export async function runTool(name: ToolName, input: unknown): Promise<{ tool: ToolName; length: number }> {
  const ms = name === 'prices' && isSlow ? slowToolMs : toolMs
  await new Promise(resolve => setTimeout(resolve, ms))
  return { tool: name, length: JSON.stringify(input).length }
}

/** What an agent sends to its model: as much text as a short prompt. */
export interface ModelQuery {
  readonly prompt: string
  /** The tools that it may call now. */
  readonly tools: readonly string[]
}
export interface ModelReply {
  readonly text: string
  readonly calls: readonly string[]
}
