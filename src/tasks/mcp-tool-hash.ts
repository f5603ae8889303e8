import { hash } from 'node:crypto'
import { canonicalJson } from './canonical.ts'

/** What an MCP server says about a tool, as it came. */
export interface StatedTool {
  readonly name: string
  readonly title?: unknown
  readonly description?: unknown
  readonly inputSchema?: unknown
  readonly outputSchema?: unknown
  readonly annotations?: unknown
  readonly execution?: unknown
}

/** The first 32 hex digits of SHA-256 over the canonical JSON of what a server says about a tool: in `mcp.lock.json`, and in `tool.listed`. */
export function mcpToolHash(tool: StatedTool): string {
  const { name, title, description, inputSchema, outputSchema, annotations, execution } = tool
  const stated = { name, title, description, inputSchema, outputSchema, annotations, execution }
  return hash('sha256', canonicalJson(stated)).slice(0, 32)
}
