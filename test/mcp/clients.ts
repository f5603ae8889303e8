import { Client, StreamableHTTPClientTransport, type ClientOptions } from '@modelcontextprotocol/client'
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as OldHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { onTestFinished } from 'vitest'
import type { Bus } from '../../src/bus/bus.ts'
import { tasksExtension } from '../../src/mcp/tasks-extension.ts'

/* Real MCP clients of both eras. */

/** What a person does with a form. */
export type Form = { readonly message: string; readonly requestedSchema?: unknown }
export type AnswerForm = (form: Form) => object | Promise<object>

export interface ClientSettings {
  /** The API key or token. */
  readonly key?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** The client shows forms to a person, who answers like this. */
  readonly onForm?: AnswerForm
  readonly hasTasks?: boolean
}

export const eras = ['2026-07-28', '2025-11-25'] as const
export type Era = (typeof eras)[number]

/** A client of the SDK 2, over HTTP. */
export async function httpClient(url: string, era: Era, settings: ClientSettings = {}): Promise<Client> {
  const { key, headers } = settings
  const all = { ...headers, ...(key !== undefined && { authorization: `Bearer ${key}` }) }
  const client = newClient(era, settings)
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers: all } }))
  onTestFinished(() => client.close())
  return client
}

export function newClient(era: Era, { onForm, hasTasks }: ClientSettings): Client {
  const options: ClientOptions = {
    capabilities: {
      ...(onForm && { elicitation: { form: {} } }),
      ...(hasTasks && { extensions: { [tasksExtension]: {} } }),
    },
    ...(era === '2026-07-28' && { versionNegotiation: { mode: 'auto' } }),
  }
  const client = new Client({ name: 'test', version: '1' }, options)
  if (onForm)
    client.setRequestHandler('elicitation/create', async ({ params }) => (await onForm(params as Form)) as never)
  return client
}

/** A client of the SDK 1, over HTTP, and how its transport says goodbye. */
export async function oldHttpClient(url: string, { key, onForm }: ClientSettings = {}): Promise<OldClient> {
  const client = new OldClient({ name: 'old', version: '1' }, { capabilities: onForm ? { elicitation: {} } : {} })
  if (onForm)
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => (await onForm(params as Form)) as never)
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
  await client.connect(new OldHttpTransport(new URL(`${url}/mcp`), { requestInit: { headers } }))
  onTestFinished(() => client.close())
  return client
}

/** Capabilities of a client that knows tasks. */
export const tasks = { extensions: { [tasksExtension]: {} } }

/** A person who grants. */
export const grant = () => ({ action: 'accept', content: { decision: 'grant' } })

/** The requests on a log. */
export const asks = (bus: Bus) => Array.fromAsync(bus.read({ filter: [{ types: ['agent.invoke'] }] }))

export const textOf = (result: unknown): string =>
  (result as { content: { text?: string }[] }).content.map(({ text }) => text ?? '').join('\n')

/** A message of 2026-07-28 without a client, as a program could send it. */
export async function post(
  url: string,
  method: string,
  params: Record<string, unknown> = {},
  { key, capabilities = {}, ...more }: { key?: string; capabilities?: object; headers?: Record<string, string> } = {},
) {
  const name = params.name ?? params.taskId
  const response = await fetch(`${url}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' && { 'mcp-name': name }),
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...more.headers,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': capabilities,
          ...(params._meta as object),
        },
      },
    }),
  })
  const body = (await response.json()) as Posted
  return { status: response.status, headers: response.headers, ...body }
}

interface Posted {
  readonly result?: Record<string, any>
  readonly error?: { readonly code: number; readonly message: string; readonly data?: any }
}
