import type { Client, ConnectOptions, ElicitResult, Transport } from '@modelcontextprotocol/client'
import { TidingsError } from '../../errors.ts'
import { manifest } from '../../manifest.ts'
import type { Elicitation, ElicitationAnswer } from './ask-person.ts'
import { authProvider, authSecrets, type McpAuth } from './auth.ts'
import { boundedFetch } from './bounded-fetch.ts'
import { KnownSecrets } from '../../bus/known-secrets.ts'
import { guardTransport } from './guarded-transport.ts'
import { tasksExtension } from '../tasks-extension.ts'

/** Where a server is, and how to reach it. */
export type McpAddress =
  | {
      /** The program that is started, and its arguments. It speaks MCP on standard input and output. */
      readonly command: readonly [string, ...string[]]
      /** Its environment, in addition to PATH, HOME and the like. */
      readonly env?: Readonly<Record<string, string | undefined>>
      readonly cwd?: string
    }
  | {
      readonly url: string | URL
      readonly auth?: McpAuth
      /** Sent with each request. */
      readonly headers?: Readonly<Record<string, string>>
    }

/** The connect options that spare a later connection the question which protocol the server speaks. */
export type KnownProtocol = Pick<ConnectOptions, 'prior'>

export interface OpenConnection {
  readonly client: Client
  readonly known: KnownProtocol
}

/** What a server wrote to standard error lately. */
export interface ServerOutput {
  text: string
}

const maxOutputChars = 2_000
// The SDK searches the whole of an incomplete message at each chunk.
const maxStdioMessageBytes = 8 * 1024 * 1024

export interface ConnectSettings {
  readonly known: KnownProtocol
  readonly signal: AbortSignal
  readonly output: ServerOutput
  readonly secrets: KnownSecrets
  /** Answers a server that asks a person. Default: servers are told that nobody is asked. */
  readonly onElicitation?: ElicitationHandler | undefined
}

/** Asks a person for a server of the protocol of 2025, which does not say for which of its calls. */
export type ElicitationHandler = (elicitation: Elicitation) => Promise<ElicitationAnswer>

/**
 * Connects to a server, in the newest protocol that both know.
 * @throws E_MCP_MISSING if the SDK is not installed
 */
export async function connectTo(
  address: McpAddress,
  { known, signal, output, secrets, onElicitation }: ConnectSettings,
): Promise<OpenConnection> {
  const { Client: SdkClient } = await loadSdk()
  const client = new SdkClient(
    { name: 'tidings', version: manifest.version },
    {
      capabilities: {
        extensions: { [tasksExtension]: {} },
        ...(onElicitation && { elicitation: { form: {} } }),
      },
      versionNegotiation: { mode: 'auto' },
      inputRequired: { autoFulfill: false },
    },
  )
  if (onElicitation)
    client.setRequestHandler(
      'elicitation/create',
      async ({ params }) => (await onElicitation(params as Elicitation)) as ElicitResult,
    )
  const transport = guardTransport(await transportTo(address, output, secrets))
  await client.connect(transport, { ...known, signal })
  const discover = client.getDiscoverResult()
  return { client, known: { prior: discover ? { kind: 'modern', discover } : { kind: 'legacy' } } }
}

async function loadSdk() {
  try {
    return await import('@modelcontextprotocol/client')
  } catch (cause) {
    throw new TidingsError('E_MCP_MISSING', 'the package @modelcontextprotocol/client is not installed', { cause })
  }
}

async function transportTo(address: McpAddress, output: ServerOutput, secrets: KnownSecrets): Promise<Transport> {
  if ('command' in address) {
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio')
    const [command, ...args] = address.command
    const env = Object.fromEntries(Object.entries(address.env ?? {}).filter(isSet))
    const cwd = address.cwd !== undefined && { cwd: address.cwd }
    const stdio = { stderr: 'pipe', maxBufferSize: maxStdioMessageBytes } as const
    const transport = new StdioClientTransport({ command, args, env, ...cwd, ...stdio })
    transport.stderr?.on('data', (chunk: Buffer) => {
      output.text = `${output.text}${chunk.toString()}`.slice(-maxOutputChars)
    })
    return transport
  }
  const { StreamableHTTPClientTransport } = await loadSdk()
  const url = new URL(address.url)
  return new StreamableHTTPClientTransport(url, {
    fetch: boundedFetch(url, secrets),
    ...(address.headers && { requestInit: { headers: { ...address.headers } } }),
    ...(address.auth !== undefined && { authProvider: await authProvider(address.auth) }),
    reconnectionOptions: {
      initialReconnectionDelay: 500,
      reconnectionDelayGrowFactor: 1.5,
      maxReconnectionDelay: 2_000,
      maxRetries: 3,
    },
  })
}

const isSet = (entry: [string, string | undefined]): entry is [string, string] => entry[1] !== undefined

/** The credentials that an address has, without those that the client gets later. */
export function secretsIn(address: McpAddress): KnownSecrets {
  const found =
    'command' in address
      ? Object.entries(address.env ?? {}).map(([name, value]) => (secretName.test(name) ? value : undefined))
      : [...authSecrets(address.auth), ...Object.values(address.headers ?? {})]
  return new KnownSecrets(found.filter(value => value !== undefined))
}

const secretName = /key|token|secret|password|credential|auth/i

/** Without credentials, for people. */
export const addressText = (address: McpAddress): string =>
  'command' in address ? address.command[0] : new URL(address.url).origin
