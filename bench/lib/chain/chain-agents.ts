import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Balancer } from './balancer.ts'
import { boundsOf, Caller, postJson } from './caller.ts'
import { listen, StatusError } from './http.ts'
import {
  agents,
  mcpTools,
  modelTimeoutMs,
  toolTimeoutMs,
  type ModelQuery,
  type ModelReply,
  type ToolName,
} from './task.ts'
import { needed, serves } from './child.ts'

/* The five agents of the chain, as a process. They call the model and some tools over HTTP, and the others over MCP. */

const [port, modelUrl, toolsUrls, mcpUrls, tuned] = process.argv.slice(2) as [string, string, string, string, string]
const isTuned = tuned === 'tuned'
const toolServices = new Balancer(toolsUrls.split(','))
const mcpServers = new Balancer(mcpUrls.split(','))
const callerOf = (timeoutMs: number) =>
  new Caller(
    isTuned
      ? { timeoutMs, maxAttempts: 6, backoffMs: 100, isTuned }
      : { timeoutMs: 30_000, maxAttempts: 3, backoffMs: 500, isTuned },
  )
const modelCaller = callerOf(modelTimeoutMs)
const callers = new Map<string, Caller>()

const connecting = new Map<string, Promise<Client>>()

await needed()
await listen(
  Number(port),
  Object.fromEntries(
    Object.entries(agents).map(([name, tools]) => [
      `/${name}`,
      (body, exchange) => {
        const { deadline, signal } = boundsOf(exchange, isTuned)
        return run(name, body, tools, deadline, signal)
      },
    ]),
  ),
)
serves()

async function run(name: string, input: unknown, tools: readonly ToolName[], deadline: number, signal: AbortSignal) {
  const ask = async (query: ModelQuery) =>
    (await modelCaller.call(attempt => postJson(`${modelUrl}/model`, query, attempt), deadline, signal)) as ModelReply
  const prompt = `You are the ${name}. ${JSON.stringify(input)}`
  const reply = await ask({ prompt, tools })
  if (reply.calls.length === 0) return reply.text
  const results = await Promise.all(reply.calls.map(tool => callTool(tool as ToolName, prompt, deadline, signal)))
  return (await ask({ prompt: `${prompt} ${JSON.stringify(results)}`, tools: [] })).text
}

function callTool(tool: ToolName, query: string, deadline: number, signal: AbortSignal): Promise<unknown> {
  const caller = callers.get(tool) ?? callerOf(toolTimeoutMs)
  callers.set(tool, caller)
  return caller.call(
    attempt =>
      mcpTools.includes(tool)
        ? mcpServers.call(url => callMcp(url, tool, query, attempt))
        : toolServices.call(url => postJson(`${url}/${tool}`, { query }, attempt)),
    deadline,
    signal,
  )
}

async function callMcp(url: string, name: ToolName, query: string, signal: AbortSignal): Promise<unknown> {
  // Stateless, so the client outlives restarts of the server.
  const known = connecting.get(url) ?? connect(url)
  connecting.set(url, known)
  const client = await known.catch(error => {
    connecting.delete(url)
    throw error
  })
  const { content, isError } = await client.callTool({ name, arguments: { query } }, { signal, timeout: toolTimeoutMs })
  if (isError) throw new StatusError(502, JSON.stringify(content))
  return content
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ name: 'agents', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)))
  return client
}
