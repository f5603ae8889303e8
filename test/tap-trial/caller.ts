import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import type { Exchange } from './exchange.ts'

/** What a client got, byte by byte. */
export interface Received {
  readonly status?: number
  readonly reason?: string
  readonly headers: readonly string[]
  readonly interim: readonly number[]
  readonly body: Buffer
  readonly trailers: readonly string[]
  /** How it ended for the client. */
  readonly end: 'whole' | 'broken' | 'left'
  /** The code of the error of the connection. */
  readonly error?: string
}

/** Makes calls to one address. */
export class Caller {
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true })

  constructor(port: number) {
    this.#port = port
  }

  close(): void {
    this.#agent.destroy()
  }

  call(exchange: Exchange): Promise<Received> {
    const { request, leaveAfter } = exchange.call
    const headers = request.headers.map(([name, value]) => [name, name === 'Host' ? `127.0.0.1:${this.#port}` : value])
    const outgoing = httpRequest({
      host: '127.0.0.1',
      port: this.#port,
      agent: this.#agent,
      method: request.method,
      path: request.path,
      headers: headers.flat(),
    })
    const { promise, resolve } = Promise.withResolvers<Received>()
    const interim: number[] = []
    const chunks: Buffer[] = []
    let incoming: IncomingMessage | undefined
    const end = (how: Received['end'], error?: string) =>
      resolve({
        ...(incoming && { status: incoming.statusCode!, reason: incoming.statusMessage! }),
        headers: incoming?.rawHeaders ?? [],
        trailers: incoming?.rawTrailers ?? [],
        interim,
        body: Buffer.concat(chunks),
        end: how,
        ...(error !== undefined && { error }),
      })
    outgoing.on('close', () => exchange.changed())
    const leave = () => {
      end('left')
      outgoing.destroy()
    }
    outgoing.on('information', ({ statusCode }) => interim.push(statusCode))
    outgoing.on('error', (error: NodeJS.ErrnoException) => end('broken', error.code ?? error.message))
    outgoing.on('response', response => {
      incoming = response
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        exchange.downloaded += chunk.length
        exchange.changed()
        if (leaveAfter !== undefined && exchange.downloaded >= leaveAfter) leave()
      })
      response.on('error', (error: NodeJS.ErrnoException) => end('broken', error.code ?? error.message))
      response.on('end', () => end('whole'))
    })
    if (leaveAfter === 0 && request.abortAfter === undefined)
      void exchange
        .until('the server has the request', () => outgoing.destroyed || exchange.seen.some(({ isWhole }) => isWhole))
        .then(leave)
    void this.#send(outgoing, exchange, leave)
    return promise
  }

  async #send(outgoing: ReturnType<typeof httpRequest>, exchange: Exchange, leave: () => void): Promise<void> {
    const { request } = exchange.call
    if (request.awaitsContinue) {
      outgoing.flushHeaders()
      const goesOn = await new Promise<boolean>(resolve => {
        outgoing
          .once('continue', () => resolve(true))
          .once('response', () => resolve(false))
          .once('close', () => resolve(false))
      })
      // Refused: the connection is of no more use, because the body that it announced does not come.
      if (!goesOn) return
    }
    if (request.isInterlocked) outgoing.flushHeaders()
    let sent = 0
    for (const chunk of request.chunks) {
      if (outgoing.destroyed) return
      const left = request.abortAfter === undefined ? chunk.length : Math.min(chunk.length, request.abortAfter - sent)
      if (left > 0) outgoing.write(left < chunk.length ? chunk.subarray(0, left) : chunk)
      sent += left
      const wanted = sent
      if (request.isInterlocked)
        await exchange.until(
          `the server waits for byte ${wanted} of the request`,
          () => outgoing.destroyed || (exchange.seen.length > 0 && exchange.uploaded >= wanted),
        )
      else await setImmediate()
      if (left < chunk.length) return leave()
    }
    outgoing.end()
  }
}
