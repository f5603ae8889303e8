import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { callHeader, type ScriptedReply } from './call.ts'
import type { Exchange, SeenRequest } from './exchange.ts'

/** The scripted server. It finds what to answer by a header of the request. */
export interface Upstream extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly exchanges: Map<number, Exchange>
  /** Requests that no exchange waits for. */
  readonly unexpected: string[]
}

export async function startUpstream(): Promise<Upstream> {
  const exchanges = new Map<number, Exchange>()
  const unexpected: string[] = []
  const take = (request: IncomingMessage, response: ServerResponse, expectsContinue = false) => {
    const exchange = exchanges.get(Number(request.headers[callHeader.toLowerCase()]))
    if (exchange) return void serve(exchange, request, response, expectsContinue).catch(() => response.destroy())
    unexpected.push(`${request.method} ${request.url}`)
    response.writeHead(599).end()
  }
  // No time limit of the server is what a trial on a busy machine should find.
  const server = createServer(
    { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 600_000, maxHeaderSize: 65_536 },
    (request, response) => take(request, response),
  )
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => take(request, response, true))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    exchanges,
    unexpected,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

async function serve(exchange: Exchange, request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) {
  const seen: SeenRequest = {
    method: request.method!,
    path: request.url!,
    headers: request.rawHeaders,
    body: Buffer.alloc(0),
    trailers: [],
    isWhole: false,
    wasLeft: false,
  }
  exchange.seen.push(seen)
  const { reply } = exchange.call
  response.on('close', () => {
    seen.wasLeft = !response.writableFinished
    exchange.changed()
  })
  const isRead = read(exchange, request, seen)
  if (expectsContinue && !reply.isEarly) response.writeContinue()
  if (!reply.isEarly) await isRead
  exchange.changed()
  if (reply.firstByteMs !== undefined) await setTimeout(reply.firstByteMs)
  await answer(exchange, response, seen, reply)
}

async function read(exchange: Exchange, request: IncomingMessage, seen: SeenRequest): Promise<void> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) {
      chunks.push(chunk as Buffer)
      exchange.uploaded += (chunk as Buffer).length
      exchange.changed()
    }
    seen.isWhole = request.complete
  } catch {
    // The client left: what is missing is compared.
  }
  seen.body = Buffer.concat(chunks)
  seen.trailers = request.rawTrailers
}

async function answer(
  exchange: Exchange,
  response: ServerResponse,
  seen: SeenRequest,
  reply: ScriptedReply,
): Promise<void> {
  const socket = response.socket!
  response.setMaxListeners(0)
  const leaves = () => exchange.until('the server waits for the client to leave', () => seen.wasLeft)
  if (reply.isHeadless) {
    if (reply.end === 'open') return leaves()
    return void socket.destroy()
  }
  response.sendDate = false
  // Framed by the end of the connection.
  if (reply.headers.some(([name, value]) => name.toLowerCase() === 'connection' && value === 'close'))
    response.useChunkedEncodingByDefault = false
  response.writeHead(reply.status, reply.reason, reply.headers.flat())
  response.flushHeaders()
  let sent = 0
  for (const chunk of reply.chunks) {
    if (response.destroyed) return
    if (!response.write(chunk) && !reply.isInterlocked)
      await new Promise(resolve => response.once('drain', resolve).once('close', resolve))
    sent += chunk.length
    const wanted = sent
    if (reply.isInterlocked)
      await exchange.until(`the client waits for byte ${wanted}`, () => exchange.downloaded >= wanted || seen.wasLeft)
    // So that it is a piece of its own on the wire.
    else await setImmediate()
  }
  if (reply.end === 'open') return leaves()
  if (reply.end === 'reset') {
    // What was sent is with the client before the connection breaks.
    if (socket.writableLength > 0) await new Promise(resolve => socket.once('drain', resolve).once('close', resolve))
    return void socket.destroy()
  }
  if (reply.end === 'garbage') return void socket.end('no chunk at all\r\n')
  if (reply.trailers) response.addTrailers(reply.trailers.map(([name, value]): [string, string] => [name, value]))
  response.end()
}
