import type { Bus } from '../bus/bus.ts'

/*
 * A tool has a consumer group of its own. Tools of an MCP server share one, because each group is a consumer on the broker, and a server may have a
 * thousand tools. Those with a limit or a rate keep their own. A document names them, because the shared group gets their requests too and must
 * leave them alone; who once had a group keeps it, because requests may wait there.
 */

export const toolGroup = (tool: string) => `tool/${tool}`

/** The group that the tools of a server share. */
export const serverGroup = (server: string) => `mcp/${server}`

/** What the shared group of a server receives: its tool `search` is `SERVER.search`. */
export const serverTargets = (server: string) => `${server}.>`

/** The group that a tool shares if it is one of a server. */
export const sharedToolGroup = (tool: string) => serverGroup(tool.slice(0, Math.max(0, tool.indexOf('.'))))

/** Adds tools of a server that have a group of their own, and resolves with all of them. */
export async function claimOwnGroups(bus: Bus, server: string, tools: readonly string[]): Promise<ReadonlySet<string>> {
  const key = `mcp/own-groups/${server}`
  const { value } = await bus.documents.update<readonly string[]>(
    key,
    (before = []) => {
      const added = tools.filter(tool => !before.includes(tool))
      return added.length === 0 ? before : [...before, ...added].toSorted()
    },
    { namesOnly: true },
  )
  return new Set(value)
}
