import { serveMcpStdio } from '../mcp/server/stdio.ts'
import { defaultTenant } from '../event.ts'
import { Catalog } from '../mcp/server/catalog.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import { cliIdentity } from './approvals.ts'
import { withExistingLog } from './log.ts'
import { shutdownSignal, type GlobalOptions } from './output.ts'

export interface McpCommandOptions extends GlobalOptions {
  wait: Duration
}

/** `tidings mcp`: standard output belongs to the protocol, so everything else goes to standard error. */
export async function mcpCommand({ wait }: McpCommandOptions): Promise<void> {
  const signal = shutdownSignal()
  await withExistingLog(async bus => {
    const published = await new Catalog(bus).list()
    const names = published.map(({ name }) => name).join(', ')
    process.stderr.write(
      published.length > 0
        ? `tidings mcp serves ${names}\n`
        : 'No app on this log publishes anything over MCP: list what it should in the option `mcp` of app(), and start the app once.\n',
    )
    const caller = { tenant: defaultTenant, user: cliIdentity(), may: () => true }
    await serveMcpStdio(bus, { caller, waitMs: milliseconds(wait), signal })
  })
}
