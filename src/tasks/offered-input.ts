import type { JsonSchema } from '../schema.ts'

/* How tools, agents and workflows are offered to models and to MCP clients, which know other names and only inputs that are objects. */

/** Model providers accept letters, digits, _ and - only, and most MCP clients pass the names of tools on to them. */
export const modelToolName = (name: string) => name.replaceAll('.', '_')

/** The agent that calls a tool for MCP clients. */
export const mcpCallerName = (tool: string) => `mcp.${tool}`

/** The agents that answer for prompts and resources. */
export const mcpPromptName = (prompt: string) => `mcp-prompt.${prompt}`
export const mcpResourceName = (resource: string) => `mcp-resource.${resource}`

/** Tools of the MCP server itself, for tasks that run longer than a call may take. */
export const reservedMcpNames = ['get_task', 'cancel_task'] as const

/** Of an agent that declares no schema. */
export const textInput: JsonSchema = { type: 'string', description: 'The request.' }

/** An input that is not an object, as the field `input` of one. */
export const inField = (input: JsonSchema): JsonSchema => ({
  type: 'object',
  properties: { input },
  required: ['input'],
  additionalProperties: false,
})
