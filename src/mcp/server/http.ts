import { hash } from 'node:crypto'
import type { isLegacyRequest, McpHttpHandler, Server, ServerContext } from '@modelcontextprotocol/server'
import type { Client } from '../../ask/client.ts'
import type { Bus } from '../../bus/bus.ts'
import { SharedKey } from '../../bus/shared-key.ts'
import { log } from '../../bus/telemetry/log.ts'
import { loadServerSdk } from '../load-sdk.ts'
import { Cancellations } from './cancellations.ts'
import type { McpCaller } from './caller.ts'
import { Catalog } from './catalog.ts'
import { sessionIdOf, sessionIn } from './client-session.ts'
import {
  answerForm,
  formKey,
  approvalForm,
  parseFormKey,
  type FormAnswer,
  type WaitingApproval,
} from './elicitation.ts'
import { createMcpServer, type McpDeps } from './mcp-server.ts'
import type { ClientCapabilities, LogLevel, RequestScope } from './request-scope.ts'

/** Who sends a request of MCP, and what its headers ask for. */
export interface PublishedRequest {
  readonly caller: McpCaller
  /** The body as JSON; undefined without one. */
  readonly body: unknown
  readonly waitMs: number
  readonly idempotencyKey?: string | undefined
}

/**
 * MCP over Streamable HTTP, in both eras. It remembers nothing between two requests: what a client needs is in its request or on the log. So
 * any number of gateways serve one client, and a restart is not noticed.
 */
export class McpHttp {
  readonly #deps: McpDeps
  readonly #cancellations: Cancellations
  readonly #scopes = new WeakMap<Request, Omit<RequestScope, 'era'>>()
  #opened: Promise<Opened> | undefined

  constructor(bus: Bus, client: Client) {
    this.#deps = { bus, client, catalog: new Catalog(bus), key: new SharedKey(bus, 'gateway/mcp-key') }
    this.#cancellations = new Cancellations(bus)
  }

  /** `request`: with the headers of the client, and a signal that aborts when it goes away. @throws E_MCP_MISSING */
  async fetch(request: Request, given: PublishedRequest): Promise<Response> {
    const { handler, isLegacyRequest } = await (this.#opened ??= this.#open())
    const { body } = given
    const session = request.headers.get('mcp-session-id')
    const isOfMessages = body !== undefined && (await isLegacyRequest(request, body))
    if (isOfMessages && (await this.#takeMessages(given, session))) return new Response(null, { status: 202 })
    this.#scopes.set(request, this.#scopeOf(given, session))
    const response = await handler.fetch(request, { ...(body !== undefined && { parsedBody: body }) })
    const capabilities = capabilitiesIn(body)
    if (!capabilities || !response.ok) return response
    const headers = new Headers(response.headers)
    headers.set('mcp-session-id', sessionIdOf(capabilities))
    return new Response(response.body, { status: response.status, headers })
  }

  async close(): Promise<void> {
    this.#cancellations.close()
    await (await this.#opened)?.handler.close()
  }

  async #open(): Promise<Opened> {
    const { createMcpHandler, isLegacyRequest } = await loadServerSdk()
    const handler = createMcpHandler(
      async ({ era, requestInfo }) => createMcpServer(this.#deps, { ...this.#scopes.get(requestInfo!)!, era }),
      { onerror: error => log.debug?.({ error: error.message }, 'a request of MCP was refused') },
    )
    return { handler, isLegacyRequest }
  }

  #scopeOf({ caller, waitMs, idempotencyKey }: PublishedRequest, session: string | null): Omit<RequestScope, 'era'> {
    return {
      caller,
      waitMs,
      idempotencyKey,
      capabilities: () => sessionIn(session),
      showForm,
      logLevel: sessionLogLevel(this.#deps.bus, session),
      // Without a session, the requests of two clients may have one id.
      ...(session !== null && { onCancelled: id => this.#cancellations.expect({ caller, session, id }) }),
    }
  }

  /** Answers to forms, and cancellations, which belong to requests that another gateway may serve. Whether the body had nothing else. */
  async #takeMessages({ caller, body }: PublishedRequest, session: string | null): Promise<boolean> {
    const messages = [body].flat().filter(each => typeof each === 'object' && each !== null)
    const taken = await Promise.all(
      messages.map(async message => {
        const { id, method, result, error, params } = message as PostedMessage
        const form = method === undefined ? parseFormKey(id) : undefined
        const cancelled = method === 'notifications/cancelled' ? params?.requestId : undefined
        if (cancelled !== undefined && session !== null) this.#cancellations.cancel({ caller, session, id: cancelled })
        // What cannot show the form leaves it to others.
        if (form && error === undefined) await answerForm(this.#deps.bus, caller, form, (result ?? {}) as FormAnswer)
        return form !== undefined || cancelled !== undefined
      }),
    )
    return taken.length > 0 && taken.every(Boolean)
  }
}

interface Opened {
  readonly handler: McpHttpHandler
  readonly isLegacyRequest: typeof isLegacyRequest
}

interface PostedMessage {
  readonly id?: unknown
  readonly method?: string
  readonly params?: { readonly requestId?: string | number; readonly capabilities?: ClientCapabilities }
  readonly result?: unknown
  readonly error?: unknown
}

/** Of a client of the 2025 era that begins. */
function capabilitiesIn(body: unknown): ClientCapabilities | undefined {
  const { method, params } = (Array.isArray(body) ? {} : (body ?? {})) as PostedMessage
  return method === 'initialize' ? (params?.capabilities ?? {}) : undefined
}

const logLevelTtlMs = 24 * 3_600_000

/** Kept beside the log, because any gateway serves the next request of the session. Without a session nothing is sent. */
function sessionLogLevel({ documents }: Bus, session: string | null): LogLevel {
  const key = `gateway/mcp-log/${hash('sha256', session ?? '')}`
  return {
    read: async () => (session === null ? undefined : documents.read<string>(key)),
    async set(level) {
      if (session === null) return
      await documents.update<string>(key, () => level, { namesOnly: true, ttlMs: logLevelTtlMs })
    },
  }
}

/** The answer comes with another request, which names the form by its id. */
async function showForm(approval: WaitingApproval, { mcpReq }: ServerContext, server: Server): Promise<undefined> {
  const message = {
    jsonrpc: '2.0' as const,
    id: formKey(approval),
    method: 'elicitation/create',
    params: approvalForm(approval),
  }
  await server.transport?.send(message, { relatedRequestId: mcpReq.id })
}
