import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Provider<Body> extends AsyncDisposable {
  readonly url: string
  /** The bodies of all requests, also of those that were refused. */
  readonly requests: readonly Body[]
  /** What was refused, and why. */
  readonly refused: readonly string[]
}

/** A local HTTP server that answers each POST with what `answer` makes of its body; a text is why it is refused. */
export async function serve<Body>(
  answer: (body: Body) => readonly object[] | string,
  refusal: (message: string) => object,
): Promise<Provider<Body>> {
  const requests: Body[] = []
  const refused: string[] = []
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Body
    requests.push(body)
    const answered = answer(body)
    if (typeof answered === 'string') {
      refused.push(answered)
      response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(refusal(answered)))
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const event of answered) {
      const { type } = event as { type?: string }
      response.write(`${type === undefined ? '' : `event: ${type}\n`}data: ${JSON.stringify(event)}\n\n`)
    }
    response.end()
  }
  const server = createServer((request, response) => {
    respond(request, response).catch((error: Error) => response.destroy(error))
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    refused,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

/** A call of a tool; its arguments as they are sent, so that they may be cut. */
export interface ScriptedCall {
  readonly id?: string
  readonly name: string
  readonly input: object | string
}

export const argumentsOf = ({ input }: ScriptedCall) => (typeof input === 'string' ? input : JSON.stringify(input))
