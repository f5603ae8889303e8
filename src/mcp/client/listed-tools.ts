import type { Client } from '@modelcontextprotocol/client'
import { TidingsError } from '../../errors.ts'
import type { ListedTool } from './pins.ts'

const maxPages = 250
const maxTools = 10_000
const maxToolChars = 128 * 1024
const maxListChars = 32 * 1024 * 1024
const listTimeoutMs = 60_000

export interface ToolList {
  readonly tools: readonly ListedTool[]
  /** Tools whose description and schemas are too large for a model, by name. */
  readonly tooLarge: readonly string[]
}

/** All tools of a server, page by page. @throws E_MCP_PROTOCOL if the list does not end, or is too large */
export async function listTools(client: Client, signal: AbortSignal): Promise<ToolList> {
  if (!client.getServerCapabilities()?.tools) return { tools: [], tooLarge: [] }
  const tools = new Map<string, ListedTool>()
  const tooLarge: string[] = []
  const seen = new Set<string>()
  let chars = 0
  // Empty for the first page: see guardTransport().
  let cursor = ''
  for (let page = 0; page < maxPages; page++) {
    const listed = await client.listTools({ cursor }, { signal, timeout: listTimeoutMs })
    for (const tool of listed.tools as readonly ListedTool[]) {
      const length = JSON.stringify(tool).length
      chars += length
      if (length > maxToolChars) tooLarge.push(tool.name.slice(0, 128))
      else tools.set(tool.name, tool)
    }
    if (tools.size > maxTools || chars > maxListChars)
      throw broken(`it lists more than ${maxTools} tools or ${maxListChars / 1024 / 1024} MiB`)
    cursor = listed.nextCursor ?? ''
    if (cursor === '') return { tools: [...tools.values()], tooLarge }
    if (seen.has(cursor)) throw broken('its list of tools repeats itself')
    seen.add(cursor)
  }
  throw broken(`its list of tools has more than ${maxPages} pages`)
}

const broken = (what: string) => new TidingsError('E_MCP_PROTOCOL', `the MCP server cannot be used: ${what}`)
