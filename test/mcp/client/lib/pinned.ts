import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { mcp, type McpOptions, type McpServer } from '../../../../src/mcp/client/mcp.ts'
import { listServer } from '../../../../src/mcp/client/pin-server.ts'
import { writePins } from '../../../../src/mcp/client/pins.ts'

export const stdioServer = join(import.meta.dirname, 'stdio-server.ts')

/** A folder that is gone after the test, or after what else is given, such as `afterAll`. */
export function scratch(after: (clean: () => void) => void = onTestFinished): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-mcp-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Lists a server and pins what it says, as `tidings pin` does. `as`: then declares it with other options. */
export async function pinned(
  name: string,
  options: McpOptions,
  folder: string,
  as: Partial<McpOptions> = {},
): Promise<McpServer> {
  const pins = join(folder, `${name}.lock.json`)
  writePins(pins, name, (await listServer({ name, address: options })).pinned)
  return mcp(name, { ...options, ...as, pins })
}
