import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Answer, Api } from '../tap-trial/api.ts'
import { chat } from '../tap-trial/chat.ts'
import { messages } from '../tap-trial/messages.ts'
import { responses } from '../tap-trial/responses.ts'

/** A model that looks up the tide, then a berth, then answers; for what has no tools, it answers at once. */
export interface Harbour extends AsyncDisposable {
  readonly url: string
  /** Method and path of every request. */
  readonly requests: readonly string[]
  /** What requests had as their key. */
  readonly keys: ReadonlySet<string>
}

interface AskedBody {
  readonly model: string
  readonly stream?: boolean
  readonly stream_options?: { readonly include_usage?: boolean }
  readonly tools?: readonly unknown[]
  readonly messages?: unknown
  readonly input?: unknown
}

const apis: readonly Api[] = [chat, responses, messages]

export async function startHarbour(): Promise<Harbour> {
  const requests: string[] = []
  const keys = new Set<string>()
  let answers = 0
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    keys.add(String(request.headers.authorization ?? request.headers['x-api-key']))
    void text(request).then(body => {
      const api = apis.find(({ path }) => request.url === path)
      const json = (status: number, value: object) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
      if (request.url === '/v1/embeddings')
        return json(200, {
          object: 'list',
          model: 'text-embedding-4',
          data: [{ object: 'embedding', index: 0, embedding: [0.5, 0.25] }],
          usage: { prompt_tokens: 4, total_tokens: 4 },
        })
      if (!api)
        return json(404, {
          error: { message: `no ${request.url}`, type: 'invalid_request_error', param: null, code: null },
        })
      const asked = JSON.parse(body) as AskedBody
      if (asked.model === 'no-such-model') return json(404, api.error(404, 'The model `no-such-model` does not exist'))
      const answer = answerTo(asked, ++answers)
      if (!asked.stream) return json(200, api.answer(answer))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const streamUsage = asked.stream_options?.include_usage === true
      const turn = { model: asked.model, instructions: '', messages: [], tools: [], stream: true, streamUsage }
      for (const { event, data } of api.events(answer, answer.text.match(/\S+\s*/g) ?? [], turn))
        response.write(
          `${event === undefined ? '' : `event: ${event}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`,
        )
      return response.end()
    })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    keys,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function answerTo({ model, tools = [], messages: list, input }: AskedBody, n: number): Answer {
  const results =
    JSON.stringify([list, input]).match(/"tool_result"|"role":"tool"|"function_call_output"/g)?.length ?? 0
  const call =
    tools.length === 0
      ? undefined
      : [
          { name: 'tide_table', input: '{"place":"Kiel"}' },
          { name: 'free_berth', input: '{"place":"Kiel","length":9}' },
        ][results]
  return {
    id: `${n}`,
    model,
    text: call ? '' : 'High water at Kiel is at 14:20, and berth 7 is free.',
    calls: call ? [{ id: `call_${n}`, ...call }] : [],
    finish: call ? 'tool-calls' : 'stop',
    usage: { input: 100 * n, output: 10, cached: 0, reasoning: 0 },
  }
}
