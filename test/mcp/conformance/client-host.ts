import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/client'
import { auth } from '@modelcontextprotocol/client'
import { mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import type { McpAuth } from '../../../src/mcp/client/auth.ts'
import { mcp, type McpOptions, type McpServer } from '../../../src/mcp/client/mcp.ts'
import { listServer, type ServerListing } from '../../../src/mcp/client/pin-server.ts'
import { writePins, type PinnedTool } from '../../../src/mcp/client/pins.ts'
import { MemoryDriver } from '../../../src/testing/memory/driver.ts'
import { MemoryLog } from '../../../src/testing/memory/log.ts'
import { app } from '../../../src/runtime/app.ts'
import { start, type RunningApp } from '../../../src/runtime/start.ts'
import { ended } from '../../lib/world.ts'
import { caller } from '../client/lib/calls.ts'

/* The client of the conformance suite: an app that pins the server of a scenario, and calls each of its tools as a durable tool. */

interface Scenario {
  readonly url: string
  readonly scenario: string
  readonly context: {
    readonly client_id?: string
    readonly client_secret?: string
    readonly private_key_pem?: string
    readonly signing_algorithm?: string
    readonly toolCalls?: readonly { readonly name: string; readonly arguments: object }[]
  }
}

/** Answers `relay.mjs`. */
export async function clientHost(): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((request, response) => {
    void (async () => {
      try {
        const report = await play((await json(request)) as Scenario)
        response.end(report)
      } catch (error) {
        response.writeHead(500).end((error as Error).stack)
      }
    })()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() }
}

const callTimeoutMs = 20_000

async function play({ url, scenario, context }: Scenario): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-conformance-'))
  try {
    const options = { url, ...authFor({ url, scenario, context }) }
    const pins = join(folder, 'mcp.lock.json')
    const { pinned } = await listed(options)
    writePins(pins, 'subject', pinned)
    const subject = mcp('subject', { ...options, pins, elicitation: true, tools: { '*': { timeout: callTimeoutMs } } })
    const running = await start(app({ use: [caller, subject] }), { driver: new MemoryDriver(new MemoryLog()), only: ['agents', 'tools'] }) // biome-ignore format: one line
    const person = answering(running)
    try {
      const outcomes: unknown[] = []
      for (const [tool, input] of callsFor(subject, pinned.tools, context)) {
        const { id, correlationid } = await running.bus.publish({ type: 'go', data: { tool, input } })
        const end = await ended(running, correlationid, id, callTimeoutMs + 5_000)
        outcomes.push({ tool, ...(await running.bus.resolve(end)) })
      }
      return JSON.stringify(outcomes, undefined, 1)
    } finally {
      clearInterval(person)
      await running.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A person who fills in nothing but what must be. */
function answering(running: RunningApp): NodeJS.Timeout {
  const answer = async () => {
    for (const { id, hash, form } of await running.approvals())
      await running.approve(id, { by: 'ann', hash, ...(form && { content: sampleOf(form) }) }).catch(() => {})
  }
  return setInterval(() => void answer().catch(() => {}), 100)
}

/** A person may have to sign in first: see {@link Visitor}. */
async function listed(address: McpOptions): Promise<ServerListing> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listServer({ name: 'subject', address })
    } catch (error) {
      if (attempt === 2 || !/unauthorized|authentication|redirect/i.test((error as Error).message)) throw error
    }
  }
}

function* callsFor(
  server: McpServer,
  pinned: Readonly<Record<string, PinnedTool>>,
  { toolCalls }: Scenario['context'],
): Generator<[string, unknown]> {
  // biome-ignore format: one line
  for (const call of toolCalls ?? []) yield [server.tool(call.name).name, call.arguments]
  if (!toolCalls)
    for (const [name, { input }] of Object.entries(pinned)) yield [server.tool(name).name, name === 'json_schema_echo' ? { schema: pinned.json_schema_2020_12_tool!.input } : sampleOf(input)] // biome-ignore format: one line
  if (server.pins.pinned?.hasResources) {
    yield [server.resources.list.name, {}]
    yield [server.resources.read.name, { uri: 'file:///path/to/file%20name.txt' }]
  }
  if (server.pins.pinned?.hasPrompts) {
    yield [server.prompts.list.name, {}]
    yield [server.prompts.get.name, { name: 'test_prompt' }]
  }
}

function sampleOf({ properties = {}, required = [] }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const samples: Record<string, unknown> = { number: 1, integer: 1, boolean: true, array: [], object: {} }
  const fields = properties as Record<string, { type?: string }>
  return Object.fromEntries((required as string[]).map(name => [name, samples[fields[name]?.type ?? ''] ?? 'text']))
}

function authFor({ url, scenario, context }: Scenario): { auth?: McpAuth } {
  if (!scenario.startsWith('auth/')) return {}
  const { client_id: clientId, client_secret: clientSecret, private_key_pem: privateKey } = context
  const issuer = undefined as unknown as string
  if (scenario === 'auth/client-credentials-basic') return { auth: { clientId: clientId!, clientSecret: clientSecret!, issuer } } // biome-ignore format: one line
  if (scenario === 'auth/client-credentials-jwt') return { auth: { clientId: clientId!, privateKey: privateKey!, algorithm: context.signing_algorithm!, issuer } } // biome-ignore format: one line
  return { auth: new Visitor(url, clientId === undefined ? undefined : { client_id: clientId, ...(clientSecret !== undefined && { client_secret: clientSecret }) }) } // biome-ignore format: one line
}

const redirect = 'http://localhost:3000/callback'

/** A person who signs in at once, wherever the authorization server asks for it: what an app does around an `OAuthClientProvider`. */
class Visitor {
  readonly redirectUrl = redirect
  readonly clientMetadata = { client_name: 'tidings', redirect_uris: [redirect] }
  readonly clientMetadataUrl = 'https://conformance-test.local/client-metadata.json'
  readonly #url: string
  #client: OAuthClientInformationMixed | undefined
  #tokens: OAuthTokens | undefined
  #verifier = ''
  /** From the redirect to the callback. Later the server may name another authorization server. */
  #discovery: unknown

  constructor(url: string, client: OAuthClientInformationMixed | undefined) {
    this.#url = url
    this.#client = client
  }

  clientInformation = () => this.#client
  saveClientInformation = (client: OAuthClientInformationMixed) => void (this.#client = client)
  tokens = () => this.#tokens
  saveTokens = (tokens: OAuthTokens) => void (this.#tokens = tokens)
  codeVerifier = () => this.#verifier
  saveCodeVerifier = (verifier: string) => void (this.#verifier = verifier)
  invalidateCredentials = (scope: string) => {
    if (scope === 'all' || scope === 'client') this.#client = undefined
    if (scope === 'all' || scope === 'tokens') this.#tokens = undefined
  }

  discoveryState = () => this.#discovery as never
  saveDiscoveryState = (state: unknown) => void (this.#discovery = state)

  async redirectToAuthorization(address: URL): Promise<void> {
    const response = await fetch(address, { redirect: 'manual' })
    const { searchParams } = new URL(response.headers.get('location')!)
    const iss = searchParams.get('iss')
    await auth(this, { serverUrl: this.#url, authorizationCode: searchParams.get('code')!, ...(iss !== null && { iss }) }) // biome-ignore format: one line
    this.#discovery = undefined
  }
}
