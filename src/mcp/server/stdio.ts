import type { Server, ServerContext } from '@modelcontextprotocol/server'
import { Client } from '../../ask/client.ts'
import type { Bus } from '../../bus/bus.ts'
import { SharedKey } from '../../bus/shared-key.ts'
import { log } from '../../bus/telemetry/log.ts'
import { loadStdioSdk } from '../load-sdk.ts'
import type { McpCaller } from './caller.ts'
import { Catalog } from './catalog.ts'
import { approvalForm, type FormAnswer, type WaitingApproval } from './elicitation.ts'
import { createMcpServer } from './mcp-server.ts'

/** How long a person may take for a form. */
const formTimeoutMs = 10 * 60_000

/** Serves MCP over standard input and output, until the client closes its side or the signal aborts. @throws E_MCP_MISSING */
export async function serveMcpStdio(
  bus: Bus,
  { caller, waitMs, signal }: { readonly caller: McpCaller; readonly waitMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const { serveStdio, StdioServerTransport } = await loadStdioSdk()
  const client = new Client(bus)
  const deps = { bus, client, catalog: new Catalog(bus), key: new SharedKey(bus, 'gateway/mcp-key') }
  const transport = new StdioServerTransport()
  const closed = new Promise<void>(resolve => process.stdin.once('close', resolve).once('end', resolve))
  const serving = serveStdio(
    async ({ era }) => {
      // The client says what it can when the server exists.
      const started: { server?: Server } = {}
      const capabilities = () => started.server?.getClientCapabilities()
      let level: string | undefined
      const logLevel = { read: async () => level, set: async (wanted: string) => void (level = wanted) }
      const server = await createMcpServer(deps, { caller, era, waitMs, capabilities, showForm, logLevel })
      started.server = server
      return server
    },
    { transport, onerror: error => log.debug?.({ error: error.message }, 'a message of MCP was refused') },
  )
  const aborted = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
  await Promise.race([closed, aborted])
  client.close()
  await serving.close()
}

const showForm = async (approval: WaitingApproval, { mcpReq }: ServerContext): Promise<FormAnswer> =>
  (await mcpReq.elicitInput(approvalForm(approval), { timeout: formTimeoutMs })) as FormAnswer
