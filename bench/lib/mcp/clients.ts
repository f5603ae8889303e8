import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client'
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { stopChild } from '../host.ts'
import type { Mode } from './serve.ts'

export type Sdk = 1 | 2

/** A connected client of the no-op tool. */
export interface ToolClient {
  call(): Promise<void>
  close(): Promise<void>
}

/** A server in its own process. */
export interface ToolServer {
  connect(): Promise<ToolClient>
  stop(): Promise<void>
}

/** 300 B of JSON. */
export const payload = { q: 'x'.repeat(292) }
const info = { name: 'bench', version: '1' }
const call = { name: 'noop', arguments: payload }

/** Over stdio, each client has a process of its own. */
export async function startServer(sdk: Sdk, mode: Mode): Promise<ToolServer> {
  const file = join(import.meta.dirname, `server-${sdk}.ts`)
  if (mode === 'stdio') {
    const server = { command: process.execPath, args: [file, mode] }
    const connect = () =>
      sdk === 1 ? connected1(new Stdio1(server)) : connected2(new Stdio2(server), { pin: modernVersion })
    return { connect, stop: () => Promise.resolve() }
  }
  const child: ChildProcess = fork(file, [mode])
  const [port] = (await once(child, 'message')) as [number]
  const url = new URL(`http://127.0.0.1:${port}/mcp`)
  const era = mode === 'stateful' ? 'legacy' : { pin: modernVersion }
  const connect = () => (sdk === 1 ? connected1(new Http1(url)) : connected2(new Http2(url), era))
  return { connect, stop: () => stopChild(child) }
}

const modernVersion = '2026-07-28'

async function connected1(transport: Http1 | Stdio1): Promise<ToolClient> {
  const client = new Client1(info)
  // The types of the SDK do not allow for `exactOptionalPropertyTypes`.
  await client.connect(transport)
  return {
    async call() {
      check(await client.callTool(call))
    },
    async close() {
      if (transport instanceof Http1) await transport.terminateSession()
      await client.close()
    },
  }
}

async function connected2(transport: Http2 | Stdio2, mode: 'legacy' | { pin: string }): Promise<ToolClient> {
  const client = new Client2(info, { versionNegotiation: { mode } })
  await client.connect(transport)
  return {
    async call() {
      check(await client.callTool(call))
    },
    async close() {
      if (transport instanceof Http2 && mode === 'legacy') await transport.terminateSession()
      await client.close()
    },
  }
}

function check(result: object) {
  const { content } = result as { content?: { text?: string }[] }
  if (content?.[0]?.text !== payload.q) throw new Error(`unexpected result: ${JSON.stringify(result)}`)
}
