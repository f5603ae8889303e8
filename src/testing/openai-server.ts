import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The answer to one request. Default: an empty, complete answer. */
export interface Reply {
  /** Streamed first, word by word, as `reasoning_content`. A tool call after it must be sent back together with it. */
  reasoning?: string
  /** Streamed word by word. */
  text?: string
  /** Streamed word by word instead of the text. */
  refusal?: string
  /** Arguments are streamed in fragments; a string is sent unchanged, which allows malformed JSON. */
  toolCalls?: readonly { name: string; arguments: unknown; id?: string }[]
  /** Default: `tool_calls` if there are any, else `stop`. */
  finish?: string
  /** Tokens reported at the end, if the request asks for them. */
  usage?: { prompt: number; completion: number; cached?: number; reasoning?: number }
  /** An error instead of an answer, such as 429 or 500. */
  status?: number
  /** The `retry-after` header, in seconds. */
  retryAfter?: number
  /** Destroys the socket after this number of chunks. */
  cutAfter?: number
  /** Ends the response normally after this number of chunks, without a finish reason or `[DONE]`. */
  endAfter?: number
  /** Sends an error object as an event after this number of chunks, as providers do when they fail midway. */
  errorAfter?: number
  /** Awaited before each chunk: a delay makes the stream slow, a promise that never settles makes it hang. */
  before?: (chunk: number) => unknown
}

/** A request as the server received it. */
export interface RecordedRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: ChatRequest
  /** Resolves when the exchange is over: `sent` if the whole answer was sent, `lost` if the connection broke. */
  readonly outcome: Promise<'sent' | 'lost'>
}

/** The fields of a chat-completions request that tests check. */
export interface ChatRequest {
  model: string
  messages: {
    role: string
    content?: unknown
    reasoning_content?: string
    tool_calls?: { id: string }[]
    tool_call_id?: string
  }[]
  stream?: boolean
  stream_options?: { include_usage?: boolean }
  tools?: { type: string; function: { name: string; description?: string; parameters: unknown } }[]
  response_format?: unknown
}

/** A running server: the requests that it received, and the replies that it gives. */
export interface OpenAIServer extends AsyncDisposable {
  /** The base URL, `http://127.0.0.1:PORT/v1`. */
  readonly url: string
  readonly requests: readonly RecordedRequest[]
  /** Queues replies; each request takes the next one. */
  script(...replies: (Reply | ((request: ChatRequest) => Reply))[]): void
}

/**
 * A local HTTP server for the OpenAI chat-completions protocol, with streaming and failures on demand. It rejects what
 * providers reject: calls without answers, answers without calls, calls without the reasoning before them. When the script
 * is used up it answers 400, which clients do not retry.
 * @example
 * import { createOpenAI } from '@ai-sdk/openai'
 * await using server = await openaiServer({ status: 503 }, { text: 'On Sunday.' })
 * const model = createOpenAI({ baseURL: server.url, apiKey: 'none' }).chat('any')
 */
export async function openaiServer(...replies: (Reply | ((request: ChatRequest) => Reply))[]): Promise<OpenAIServer> {
  const queue = [...replies]
  const requests: RecordedRequest[] = []
  /** The reasoning before each call. */
  const reasoned = new Map<string, string>()

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readJson(request)
    if (!body) return fail(response, { status: 400 }, 'The body is not a chat-completions request')
    const path = request.url ?? '/'
    requests.push({ path, headers: request.headers, body, outcome: outcomeOf(response) })
    if (!path.endsWith('/chat/completions')) return fail(response, { status: 404 }, `There is nothing at ${path}`)
    const problem = problemOf(body, reasoned)
    if (problem) return fail(response, { status: 400 }, problem)
    const next = queue.shift()
    if (!next) return fail(response, { status: 400 }, 'No reply is scripted for this request')
    const reply = typeof next === 'function' ? next(body) : next
    if (reply.reasoning) for (const { id } of callsOf(reply)) reasoned.set(id, reply.reasoning)
    if (reply.status !== undefined) return fail(response, reply, `Scripted status ${reply.status}`)
    if (body.stream) return stream(response, body, reply)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completion(body, reply)))
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error: Error) => response.destroy(error))
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    script: (...more) => void queue.push(...more),
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

async function readJson(request: IncomingMessage): Promise<ChatRequest | undefined> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  try {
    const body = JSON.parse(Buffer.concat(chunks).toString()) as ChatRequest
    return Array.isArray(body.messages) ? body : undefined
  } catch {
    return undefined
  }
}

function outcomeOf(response: ServerResponse): Promise<'sent' | 'lost'> {
  return new Promise(resolve => response.once('close', () => resolve(response.writableFinished ? 'sent' : 'lost')))
}

function fail(response: ServerResponse, { status = 500, retryAfter }: Reply, message: string): void {
  const headers = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify({ error: failure(status, message) }))
}

/** Source: the responses of OpenAI, and of DeepSeek to calls without their reasoning. */
function problemOf({ messages }: ChatRequest, reasoned: ReadonlyMap<string, string>): string | undefined {
  let open: string[] = []
  for (const [i, message] of messages.entries()) {
    const { role, tool_calls: calls, tool_call_id: answered, reasoning_content: reasoning } = message
    if (role === 'tool') {
      if (!answered || !open.includes(answered))
        return `messages.${i}: messages with role 'tool' must be a response to a preceding message with 'tool_calls'`
      open = open.filter(id => id !== answered)
      continue
    }
    if (open.length > 0) break
    open = calls?.map(({ id }) => id) ?? []
    const missing = open.find(id => reasoned.has(id) && reasoned.get(id) !== reasoning)
    if (missing) return `Missing \`reasoning_content\` field in the assistant message at message index ${i}`
  }
  if (open.length === 0) return undefined
  return `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following had no response: ${open.join(', ')}`
}

const failure = (status: number, message: string) => ({ message, type: 'scripted', param: null, code: String(status) })
const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`

async function stream(response: ServerResponse, request: ChatRequest, reply: Reply): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  const chunks = chunksOf(request, reply)
  for (const [i, chunk] of chunks.entries()) {
    if (i === reply.cutAfter) return void response.destroy()
    if (i === reply.endAfter) return void response.end()
    if (i === reply.errorAfter) return void response.end(event({ error: failure(500, 'Scripted failure') }))
    await reply.before?.(i)
    if (response.destroyed) return
    await new Promise<unknown>(resolve => response.write(event(chunk), resolve))
  }
  response.end('data: [DONE]\n\n')
}

function chunksOf(request: ChatRequest, reply: Reply): object[] {
  const head = { id: 'chatcmpl-scripted', object: 'chat.completion.chunk', created: 0, model: request.model }
  const delta = (delta: object, finish_reason: string | null = null) => ({
    ...head,
    choices: [{ index: 0, delta, finish_reason }],
  })
  const calls = callsOf(reply).flatMap((call, index) => [
    delta({ tool_calls: [{ ...call, index, function: { name: call.function.name, arguments: '' } }] }),
    ...fragments(call.function.arguments).map(part =>
      delta({ tool_calls: [{ index, function: { arguments: part } }] }),
    ),
  ])
  return [
    delta({ role: 'assistant', content: '' }),
    ...words(reply.reasoning).map(reasoning_content => delta({ reasoning_content })),
    ...words(reply.text).map(content => delta({ content })),
    ...words(reply.refusal).map(refusal => delta({ refusal })),
    ...calls,
    delta({}, finishReason(reply)),
    ...(request.stream_options?.include_usage ? [{ ...head, choices: [], usage: usageOf(reply) }] : []),
  ]
}

function completion(request: ChatRequest, reply: Reply): object {
  const calls = callsOf(reply)
  const message = {
    role: 'assistant',
    content: reply.text ?? null,
    ...(reply.reasoning !== undefined && { reasoning_content: reply.reasoning }),
    ...(reply.refusal !== undefined && { refusal: reply.refusal }),
    ...(calls.length > 0 && { tool_calls: calls }),
  }
  return {
    id: 'chatcmpl-scripted',
    object: 'chat.completion',
    created: 0,
    model: request.model,
    choices: [{ index: 0, message, finish_reason: finishReason(reply) }],
    usage: usageOf(reply),
  }
}

function callsOf({ toolCalls = [] }: Reply) {
  return toolCalls.map(({ name, arguments: input, id }, i) => ({
    id: id ?? `call_${i + 1}`,
    type: 'function',
    function: { name, arguments: typeof input === 'string' ? input : JSON.stringify(input) },
  }))
}

const fragments = (text: string): string[] => text.match(/[^]{1,7}/g) ?? []
const words = (text: string | undefined): string[] => text?.match(/\s*\S+\s*|\s+$/g) ?? []
const finishReason = (reply: Reply): string => reply.finish ?? (reply.toolCalls?.length ? 'tool_calls' : 'stop')

function usageOf({ usage = { prompt: 1, completion: 1 } }: Reply): object {
  const { prompt, completion, cached, reasoning } = usage
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    ...(cached !== undefined && { prompt_tokens_details: { cached_tokens: cached } }),
    ...(reasoning !== undefined && { completion_tokens_details: { reasoning_tokens: reasoning } }),
  }
}
