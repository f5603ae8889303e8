import { styleText } from 'node:util'
import { TidingsError } from '../errors.ts'
import type { McpServer } from '../mcp/client/mcp.ts'
import { listServer, type ServerListing } from '../mcp/client/pin-server.ts'
import { beginPinning, readPins, writePins, type PinnedServer, type PinnedTool } from '../mcp/client/pins.ts'
import { dim } from '../trace/paint.ts'
import { countText, printable } from '../trace/text.ts'
import { findApp, loadApp } from './load-app.ts'
import { print, type GlobalOptions } from './output.ts'

export interface PinOptions extends GlobalOptions {
  server?: string
  check?: boolean
}

/** What pinning does to one tool. */
interface ToolChange {
  readonly tool: string
  readonly change: 'added' | 'changed' | 'removed' | 'unchanged'
  readonly before?: PinnedTool | undefined
  readonly now?: PinnedTool | undefined
}

/** `tidings pin`: shows what models would read, and writes it. With `--check`, exit code 1 if it differs from what is pinned. */
export async function pinCommand(file: string | undefined, options: PinOptions): Promise<void> {
  const { json, check = false, server: only } = options
  beginPinning()
  const { app } = await loadApp(findApp(file))
  const servers = app.servers.filter(({ name }) => only === undefined || name === only)
  if (servers.length === 0) throw noServer(app.name, only)
  let differences = 0
  for (const server of servers) {
    const { path } = server.pins
    const before = readPins(path, server.name)
    const listing = await listServer(server)
    const changes = changesBetween(before, listing.pinned)
    const differing = changes.filter(({ change }) => change !== 'unchanged')
    differences += differing.length
    if (json)
      await print(JSON.stringify({ server: server.name, file: path, changes: differing, tooLarge: listing.tooLarge })) // biome-ignore format: one line
    else await printChanges(server, listing, differing)
    if (!check) writePins(path, server.name, kept(listing.pinned, before))
  }
  if (check && differences > 0) process.exitCode = 1
}

/** Of a tool that is the same on the server, what a reviewer edited stays. */
function kept(now: PinnedServer, before: PinnedServer | undefined): PinnedServer {
  const tools = Object.entries(now.tools).map(([name, tool]) => {
    const earlier = before?.tools[name]
    return [name, earlier?.hash === tool.hash ? earlier : tool]
  })
  return { ...now, tools: Object.fromEntries(tools) as PinnedServer['tools'] }
}

function changesBetween(before: PinnedServer | undefined, now: PinnedServer): ToolChange[] {
  const names = [...new Set([...Object.keys(before?.tools ?? {}), ...Object.keys(now.tools)])]
  return names.map(tool => {
    const [earlier, later] = [before?.tools[tool], now.tools[tool]]
    if (!earlier) return { tool, change: 'added', now: later }
    if (!later) return { tool, change: 'removed', before: earlier }
    return earlier.hash === later.hash
      ? { tool, change: 'unchanged' }
      : { tool, change: 'changed', before: earlier, now: later }
  })
}

const signs = {
  added: ['green', '+'],
  changed: ['yellow', '~'],
  removed: ['red', '-'],
  unchanged: ['dim', ' '],
} as const

async function printChanges(
  { name, pins }: McpServer,
  { pinned, tooLarge }: ServerListing,
  changes: readonly ToolChange[],
) {
  // biome-ignore format: one declaration
  const count = countText(Object.keys(pinned.tools).length, 'tool')
  await print(`${styleText('bold', name)} ${dim(`${count}, ${changes.length} different from ${pins.path}`)}`)
  for (const { tool, change, before, now } of changes) {
    const [colour, sign] = signs[change]
    const hints = Object.entries(now?.annotations ?? {}).flatMap(([hint, holds]) => (holds ? [hint] : []))
    await print(`${styleText(colour, sign)} ${printable(tool)} ${dim(hints.join(', '))}`.trimEnd())
    // Whole: it is what a model reads, and what the reviewer accepts.
    if (change === 'changed') await print(dim(indented(before!.description)))
    if (now) await print(indented(now.description))
  }
  for (const tool of tooLarge) await print(`  ${printable(tool)} ${dim('is left out: its description is too large')}`)
}

const indented = (text: string) =>
  text
    .split('\n')
    .map(line => `    ${printable(line)}`)
    .join('\n')

const noServer = (app: string, only: string | undefined) =>
  new TidingsError('E_NOT_FOUND', `the app "${app}" has no MCP server${only === undefined ? '' : ` "${only}"`}`, {
    next: 'Put mcp(…) into `use` of the app: docs/mcp.md.',
  })
