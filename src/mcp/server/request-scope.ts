import type { Server, ServerContext } from '@modelcontextprotocol/server'
import { tasksExtension } from '../tasks-extension.ts'
import type { McpCaller } from './caller.ts'
import type { FormAnswer, WaitingApproval } from './elicitation.ts'

/** What a client says about itself. */
export interface ClientCapabilities {
  readonly elicitation?: { readonly form?: unknown; readonly url?: unknown } | undefined
  readonly extensions?: Readonly<Record<string, unknown>> | undefined
}

/** What a client of the 2025 era asked for with `logging/setLevel`. */
export interface LogLevel {
  read(): Promise<string | undefined>
  set(level: string): Promise<void>
}

/** The connection, or the request, that a server serves. */
export interface RequestScope {
  readonly caller: McpCaller
  readonly era: 'legacy' | 'modern'
  /** How long a call waits for its task. */
  readonly waitMs: number
  /** Of a client of the 2025 era, which says them once. */
  capabilities(): ClientCapabilities | undefined
  readonly idempotencyKey?: string | undefined
  /** The level of log messages that a client of the 2025 era set, once. */
  readonly logLevel: LogLevel
  /**
   * Shows a form in a client of the 2025 era. Resolves with its answer, or with nothing if the answer comes in another request.
   */
  showForm(approval: WaitingApproval, ctx: ServerContext, server: Server): Promise<FormAnswer | undefined>
  /** Aborts when the client cancels this request in another one. */
  onCancelled?(request: string | number): { readonly signal: AbortSignal; [Symbol.dispose](): void }
}

/** On whose behalf a caller asks. */
export const originOf = ({ tenant, user }: McpCaller) => ({
  tenant,
  ...(user !== undefined && { user }),
  source: '/mcp',
})

const capabilitiesKey = 'io.modelcontextprotocol/clientCapabilities'

/** In the era of 2026 each request says them. */
export const capabilitiesOf = ({ era, capabilities }: RequestScope, ctx: ServerContext): ClientCapabilities =>
  (era === 'modern'
    ? (ctx.mcpReq.envelope as Record<string, ClientCapabilities> | undefined)?.[capabilitiesKey]
    : capabilities()) ?? {}

/** An empty object means forms, as before there were other modes. */
export const showsForms = ({ elicitation }: ClientCapabilities): boolean =>
  elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined)

export const hasTasks = ({ extensions }: ClientCapabilities): boolean => extensions?.[tasksExtension] !== undefined
