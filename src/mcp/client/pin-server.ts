import { TidingsError, textOf } from '../../errors.ts'
import { connectTo, secretsIn, type ServerOutput } from './connect.ts'
import { listTools } from './listed-tools.ts'
import type { McpServer } from './mcp.ts'
import { pinOf, type ListedTool, type PinnedServer } from './pins.ts'

/** What a server says now. */
export interface ServerListing {
  readonly listed: readonly ListedTool[]
  /** As it would be pinned. */
  readonly pinned: PinnedServer
  /** Tools that are left out, because their descriptions and schemas are too large. */
  readonly tooLarge: readonly string[]
}

const timeoutMs = 120_000

/** Asks a server for its tools. @throws E_MCP_UNAVAILABLE, E_MCP_MISSING, E_MCP_PROTOCOL */
export async function listServer({ name, address }: Pick<McpServer, 'name' | 'address'>): Promise<ServerListing> {
  const output: ServerOutput = { text: '' }
  const secrets = secretsIn(address)
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const { client } = await connectTo(address, { known: {}, signal, output, secrets })
    try {
      const { tools, tooLarge } = await listTools(client, signal)
      const { resources, prompts } = client.getServerCapabilities() ?? {}
      const { name: called, version } = client.getServerVersion() ?? {}
      const pinned = {
        ...(called !== undefined && { server: [called, version].filter(Boolean).join(' ') }),
        ...(resources && { hasResources: true as const }),
        ...(prompts && { hasPrompts: true as const }),
        tools: Object.fromEntries(
          tools.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(tool => [tool.name, pinOf(tool)]),
        ),
      }
      return { listed: tools, pinned, tooLarge }
    } finally {
      await client.close().catch(() => {})
    }
  } catch (error) {
    if (error instanceof TidingsError) throw error
    const said = output.text.trim()
    const why = secrets.scrub(`${textOf(error)}${said && `; it wrote: ${said}`}`)
    throw new TidingsError('E_MCP_UNAVAILABLE', `the MCP server "${name}" does not list its tools: ${why}`)
  }
}
