import type { Client } from '@modelcontextprotocol/client'
import type { Bus } from '../../bus/bus.ts'
import { log } from '../../bus/telemetry/log.ts'
import { TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { milliseconds } from '../../tasks/duration.ts'
import { CallQuestions } from './ask-person.ts'
import { structureProblem } from '../../tasks/conforms.ts'
import { secretsIn } from './connect.ts'
import type { KnownSecrets } from '../../bus/known-secrets.ts'
import { McpConnection } from './connection.ts'
import { listTools } from './listed-tools.ts'
import type { McpServer, McpTool } from './mcp.ts'
import { differenceFromPins, type PinDifference } from './pins.ts'
import { readFrom } from './readings.ts'
import type { ServerTask } from './server-tasks.ts'
import { callServerTool, continueTask, type ServerCall } from './tool-call.ts'
import { toolOutput } from './tool-output.ts'

/** What a run of a tool gets from the worker that hosts it. */
interface RunContext {
  readonly signal: AbortSignal
  readonly idempotencyKey: string
  readonly event: CloudEvent
  progress(data: unknown): void
}

interface ConnectedServer {
  readonly server: McpServer
  /** Of the calls that run now, if the server may ask a person. */
  readonly questions: Set<CallQuestions>
  readonly connection: McpConnection
  readonly secrets: KnownSecrets
  difference: PinDifference | undefined
}

// As long as a request can be delivered again.
const taskTtlMs = 30 * 24 * 60 * 60_000
const relistDelayMs = 1_000
const relistTimeoutMs = 60_000
// In the protocol of 2026-07-28 a server tells nobody that its list changed who does not ask.
const relistIntervalMs = 10 * 60_000

const taskKey = (idempotencyKey: string) => `mcp/task/${idempotencyKey}`
const parkKey = (server: string) => `mcp/${server}`

/** Connects to MCP servers and runs their tools: a worker hosts the tools that `bind` returns. */
export class McpStation {
  readonly #bus: Bus
  readonly #servers: ReadonlyMap<string, ConnectedServer>
  #relisting: NodeJS.Timeout | undefined

  constructor({ bus, servers }: { bus: Bus; servers: readonly McpServer[] }) {
    this.#bus = bus
    this.#servers = new Map(servers.map(server => [server.name, this.#connected(server)]))
  }

  /** Begins to connect. A server that does not start holds its own calls, and nothing else. */
  start(): Promise<void> {
    for (const { connection } of this.#servers.values()) void connection.open().catch(() => {})
    this.#relisting = setInterval(() => this.#relist(), relistIntervalMs).unref()
    return Promise.resolve()
  }

  async stop(): Promise<void> {
    clearInterval(this.#relisting)
    await Promise.all(this.#servers.values().map(({ connection }) => connection.stop()))
  }

  /** The tools of an app, those of its servers with the connection on which they run. */
  bind<Tool extends { readonly kind: 'tool' }>(tools: readonly Tool[]): Tool[] {
    return tools.map(tool => {
      const { mcp } = tool as Partial<McpTool>
      const connected = mcp && this.#servers.get(mcp.server)
      return connected ? (this.#bound(tool as unknown as McpTool, connected) as unknown as Tool) : tool
    })
  }

  #relist(): void {
    for (const connected of this.#servers.values()) {
      const { current } = connected.connection
      if (current) void this.#compare(connected, current, AbortSignal.timeout(relistTimeoutMs)).catch(() => {})
    }
  }

  #connected(server: McpServer): ConnectedServer {
    const { name, address, elicitation } = server
    const secrets = secretsIn(address)
    const questions = new Set<CallQuestions>()
    const connected: ConnectedServer = {
      server,
      secrets,
      questions,
      difference: undefined,
      connection: new McpConnection({
        name,
        address,
        secrets,
        ...(elicitation && { onElicitation: form => onlyOne(questions, name).ask(form) }),
        onOpen: async (client, signal) => {
          await this.#compare(connected, client, signal)
          this.#watch(connected, client)
        },
      }),
    }
    return connected
  }

  /** Finds out which tools are no longer what was reviewed, now and whenever the server says that its list changed. */
  async #compare(connected: ConnectedServer, client: Client, signal: AbortSignal): Promise<void> {
    const { server } = connected
    const { tools } = await listTools(client, signal)
    const before = connected.difference
    const difference = differenceFromPins(server.pins.pinned!, tools)
    connected.difference = difference
    const { changed, missing, added } = difference
    if (added.length > 0) log.info?.({ server: server.name, added: added.slice(0, 100) }, 'MCP server has tools that are not pinned') // biome-ignore format: one line
    if (changed.length + missing.length > 0 && JSON.stringify(before) !== JSON.stringify(difference))
      await this.#raiseAlarm(server, difference)
    if (changed.length === 0) await this.#bus.redeliver({ key: parkKey(server.name) })
  }

  #watch(connected: ConnectedServer, client: Client): void {
    let isDue = false
    client.setNotificationHandler('notifications/tools/list_changed', () => {
      if (isDue) return
      isDue = true
      const relist = () => {
        isDue = false
        void this.#compare(connected, client, AbortSignal.timeout(relistTimeoutMs)).catch(() => {})
      }
      setTimeout(relist, relistDelayMs).unref()
    })
  }

  async #raiseAlarm({ name, pins }: McpServer, { changed, missing }: PinDifference): Promise<void> {
    const data = { server: name, changed: changed.slice(0, 100), missing: missing.slice(0, 100) }
    log.warn?.(data, `tools of the MCP server "${name}" are not as they were reviewed in ${pins.path}`)
    await this.#bus.publish({ type: 'mcp.changed', source: `/mcp/${name}`, subject: name, data })
  }

  #bound(tool: McpTool, connected: ConnectedServer) {
    return {
      ...tool,
      options: {
        ...tool.options,
        run: ((input: unknown, context: RunContext) =>
          this.#guarded(connected, () => this.#run(tool, connected, input, context))) as never,
      },
      remote: {
        hold: () => this.#hold(tool, connected),
        started: (key: string) => this.#bus.documents.readText(taskKey(key)),
        resume: (started: string, context: RunContext) =>
          this.#guarded(connected, async () => {
            const task = JSON.parse(started) as ServerTask
            return this.#calling(tool, connected, undefined, context, async call =>
              this.#outputOf(tool, context, await continueTask(connected.connection, task, call)),
            )
          }),
      },
    }
  }

  async #hold({ mcp }: McpTool, connected: ConnectedServer) {
    const { server, connection } = connected
    const away = await connection.whyAway()
    if (away) return away
    if (!('tool' in mcp) || !connected.difference?.changed.includes(mcp.tool)) return undefined
    const error = new TidingsError(
      'E_MCP_CHANGED',
      `the MCP server "${server.name}" changed its tool "${mcp.tool}" since it was reviewed in ${server.pins.path}`,
    )
    return { error, key: parkKey(server.name) }
  }

  async #run(tool: McpTool, connected: ConnectedServer, input: unknown, context: RunContext): Promise<unknown> {
    const { connection } = connected
    const { mcp } = tool
    if ('method' in mcp) {
      const client = await connection.reopened(context.signal)
      const options = { signal: context.signal, timeout: 60_000 }
      return readFrom(client, mcp.method, { input, store: this.#storeFor(context), options })
    }
    const problem = structureProblem(mcp.pinned!.input, input ?? {})
    if (problem !== undefined) throw new TidingsError('E_TOOL_INPUT', `${tool.name}: ${problem}`)
    return this.#calling(tool, connected, input, context, async call =>
      this.#outputOf(tool, context, await callServerTool(connection, call)),
    )
  }

  async #calling<T>(
    tool: McpTool,
    connected: ConnectedServer,
    input: unknown,
    context: RunContext,
    work: (call: ServerCall) => Promise<T>,
  ): Promise<T> {
    const call = this.#callOf(tool, connected, input, context)
    const { server, questions } = connected
    if (!server.elicitation) return work(call)
    const { signal, event } = context
    const own = new CallQuestions(this.#bus, {
      event,
      signal,
      server: server.name,
      tool: call.tool,
      timeoutMs: call.timeoutMs,
    })
    questions.add(own)
    try {
      return await work({ ...call, ask: own.ask })
    } finally {
      questions.delete(own)
    }
  }

  #callOf({ options, mcp }: McpTool, { secrets }: ConnectedServer, input: unknown, context: RunContext): ServerCall {
    const { tool, pinned } = mcp as Extract<McpTool['mcp'], { tool: string }>
    const { signal, idempotencyKey } = context
    return {
      tool,
      input,
      inputSchema: pinned!.input,
      taskSupport: pinned!.taskSupport,
      isOnce: options.atMostOnce === true,
      timeoutMs: milliseconds(options.timeout!),
      signal,
      idempotencyKey,
      onProgress: progress => context.progress(secrets.scrubJson(progress)),
      onTask: async task => {
        await this.#bus.documents.update(taskKey(idempotencyKey), () => task, { namesOnly: true, ttlMs: taskTtlMs })
      },
    }
  }

  #outputOf({ mcp }: McpTool, context: RunContext, result: Awaited<ReturnType<typeof callServerTool>>) {
    const { pinned } = mcp as Extract<McpTool['mcp'], { tool: string }>
    return toolOutput(result, { schema: pinned?.output, store: this.#storeFor(context) })
  }

  #storeFor({ event }: RunContext) {
    return (bytes: Uint8Array) => this.#bus.putBlob(event.tenant, bytes)
  }

  /** Nothing that a server says contains the credentials by which it was reached. */
  async #guarded({ secrets }: ConnectedServer, work: () => Promise<unknown>): Promise<unknown> {
    try {
      return secrets.scrubJson(await work())
    } catch (error) {
      if (!(error instanceof TidingsError) || secrets.scrub(error.message) === error.message) throw error
      const { code, message, retryable, next } = error
      throw new TidingsError(code, secrets.scrub(message), { retryable, next })
    }
  }
}

/** A server of the protocol of 2025 does not say for which call it asks. */
function onlyOne(questions: ReadonlySet<CallQuestions>, server: string): CallQuestions {
  const [first, ...others] = questions
  if (first && others.length === 0) return first
  throw new TidingsError(
    'E_MCP_INPUT',
    `the MCP server "${server}" asks a person, and it is unknown for which of ${questions.size} calls`,
  )
}
