import { isUtf8 } from 'node:buffer'
import http, {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import https from 'node:https'
import { textOf } from '../errors.ts'
import { readBody } from '../http/body.ts'
import { isLoopback } from '../http/listen.ts'
import { errorResponse } from '../http/response.ts'
import { endToEndHeaders, headerPairs, type RawHeaders } from './headers.ts'
import type { Upstream } from './upstream.ts'

/*
 * Forwards a request to one upstream, and its response to the client, as they are: method, path, headers in their order and case, bytes,
 * status, reason and trailers. Only what concerns a single connection differs. Nothing is decompressed, followed, retried or timed out here.
 *
 *     client ──▶ incoming ──▶ request ──▶ upstream
 *     client ◀── outgoing ◀── response ◀── upstream        an abort on either side aborts the other one
 */

/** The head of a request. */
export type RequestHead = Pick<IncomingMessage, 'method' | 'url' | 'headers' | 'rawHeaders'>

/** The response of the upstream, before its body. */
export interface ResponseHead {
  readonly status: number
  readonly reason: string
  readonly rawHeaders: RawHeaders
  readonly headers: IncomingHttpHeaders
}

/**
 * How an exchange ended. `complete`: the whole response arrived. `aborted`: the client went away before. `unreachable`: there was no response.
 * `cut`: the response broke off, and the client sees that.
 */
export type ForwardEnd =
  | { readonly kind: 'complete' | 'aborted' }
  | { readonly kind: 'unreachable' | 'cut'; readonly error: Error }

/** Sees what passes. It must not change the chunks, and must not throw. */
export interface ForwardListener {
  onRequestChunk?(chunk: Buffer): void
  /** The whole body of the request has arrived. */
  onRequestEnd?(): void
  /** The head of the response has arrived. The client gets it when this has settled. */
  onResponse?(head: ResponseHead): Promise<void> | void
  onResponseChunk?(chunk: Buffer): void
  /** Once for each exchange. */
  onEnd?(end: ForwardEnd): void
  /** What the client gets if there is no connection. If the upstream breaks it off without a response, the client sees that, too. */
  unreachableResponse(error: Error): RefusalResponse
  /** If this is there, the whole body is read before anything is forwarded, and the exchange ends here if this returns a response. */
  admit?(body: Buffer): Promise<RefusalResponse | undefined>
}

/** A response of the tap itself, as JSON. */
export interface RefusalResponse {
  readonly status: number
  readonly body: object
  readonly headers?: Readonly<Record<string, string>>
}

/** Headers may be as large as the upstream and the client agree on. */
export const maxHeaderBytes = 256 * 1024
/** Of a body that is read before it is forwarded. */
const maxAdmittedBytes = 64 * 1024 * 1024
/** Shorter than servers keep an idle connection, so that none is used while its server closes it. */
const idleSocketMs = 4_000

/** A kept-alive connection to one upstream. */
export class Forwarder {
  readonly upstream: Upstream
  readonly #agent: http.Agent

  constructor(upstream: Upstream) {
    this.upstream = upstream
    // As programs do that reach the upstream without the tap: HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
    const proxyEnv = isLoopback(upstream.url.hostname.replace(/^\[|\]$/g, '')) ? undefined : process.env
    const options = { keepAlive: true, timeout: idleSocketMs, ...(proxyEnv && { proxyEnv }) }
    this.#agent = upstream.url.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options)
  }

  forward(incoming: IncomingMessage, outgoing: ServerResponse, listener: ForwardListener): void {
    if (listener.admit) void this.#admit({ incoming, outgoing, listener }, listener.admit.bind(listener))
    else this.#start({ incoming, outgoing, listener })
  }

  #start(parts: ExchangeParts, body?: Buffer): void {
    let request: ClientRequest
    try {
      request = this.open(parts.incoming)
    } catch (thrown) {
      // What Node reads and would not write.
      return refuseUnsent(parts, thrown)
    }
    new Exchange(request, parts).start(body)
  }

  async #admit(parts: ExchangeParts, admit: NonNullable<ForwardListener['admit']>): Promise<void> {
    const { incoming, outgoing } = parts
    if (incoming.headers.expect !== undefined) outgoing.writeContinue()
    try {
      const body = await readBody(incoming, maxAdmittedBytes)
      const refusal = await admit(body)
      if (outgoing.destroyed) return parts.listener.onEnd?.({ kind: 'aborted' })
      if (refusal) return respond(outgoing, refusal)
      this.#start(parts, body)
    } catch (thrown) {
      const { status, body } = errorResponse(thrown)
      respond(outgoing, { status, body })
    }
  }

  /** Begins the request to the upstream. `more`: further headers. */
  open(incoming: IncomingMessage, more: RawHeaders = []): ClientRequest {
    const { protocol, hostname, port, host } = this.upstream.url
    const { method = 'GET', url: path = '/' } = incoming
    return (protocol === 'https:' ? https : http).request({
      protocol,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      method,
      path,
      headers: [...requestHeaders(incoming, host), ...more],
      agent: this.#agent,
      maxHeaderSize: maxHeaderBytes,
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** `Host` names the upstream, at the place where the client named the tap. */
function requestHeaders({ rawHeaders, headers, method }: IncomingMessage, host: string): string[] {
  const pairs = [...headerPairs(endToEndHeaders(rawHeaders))]
  const sent = pairs.map(([name, value]) => [name, name.toLowerCase() === 'host' ? host : value])
  if (headers.host === undefined) sent.unshift(['Host', host])
  // Node sends the head of such a request as UTF-8, and every other one as Latin-1, in which it reads all of them.
  if (headers.expect !== undefined) for (const pair of sent) pair[1] = asUtf8(pair[1]!)
  if (headers['transfer-encoding'] !== undefined) sent.push(['Transfer-Encoding', 'chunked'])
  // Node would send an empty chunked body in place of none.
  else if (headers['content-length'] === undefined && !bodyless.has(method ?? '')) sent.push(['Content-Length', '0'])
  return sent.flat()
}

function asUtf8(value: string): string {
  const bytes = Buffer.from(value, 'latin1')
  return isUtf8(bytes) ? bytes.toString() : value
}

function respond(outgoing: ServerResponse, { status, body, headers }: RefusalResponse): void {
  const text = JSON.stringify(body)
  outgoing.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    // The rest of the body may not have been read.
    connection: 'close',
    ...headers,
  })
  outgoing.end(text)
}

function refuseUnsent({ outgoing, listener }: ExchangeParts, thrown: unknown): void {
  const error = thrown instanceof Error ? thrown : new Error(textOf(thrown))
  listener.onEnd?.({ kind: 'unreachable', error })
  respond(outgoing, listener.unreachableResponse(error))
}

const nothing = Buffer.alloc(0)

/** Chunks of a response that are read before its head is passed on, each at most 64 KiB. */
const maxHeldChunks = 16

const bodyless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

interface ExchangeParts {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly listener: ForwardListener
}

class Exchange {
  readonly #request: ClientRequest
  readonly #incoming: IncomingMessage
  readonly #outgoing: ServerResponse
  readonly #listener: ForwardListener
  #wasConnected = false
  #hasResponse = false
  #hasEnded = false

  constructor(request: ClientRequest, { incoming, outgoing, listener }: ExchangeParts) {
    this.#request = request
    this.#incoming = incoming
    this.#outgoing = outgoing
    this.#listener = listener
  }

  /** `body`: the whole body, if it has been read already. */
  start(body?: Buffer): void {
    const request = this.#request
    const outgoing = this.#outgoing
    if (!body) request.on('continue', () => outgoing.writeContinue())
    request.on('socket', socket => {
      if (!socket.connecting) return void (this.#wasConnected = true)
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => (this.#wasConnected = true))
    })
    request.on('response', response => void this.#relay(response).catch(error => this.#break(error)))
    request.on('upgrade', (_, socket) => {
      socket.destroy()
      this.#unreachable(new Error('the upstream changed to another protocol, for which nobody had asked'))
    })
    // After the head of a response, the response reports what happens to the connection.
    request.on('error', error => this.#hasResponse || this.#unreachable(error))
    outgoing.on('error', () => {})
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) this.#end({ kind: 'aborted' })
      request.destroy()
    })
    if (body) request.end(body)
    else this.#sendBody()
  }

  #sendBody(): void {
    const request = this.#request
    const incoming = this.#incoming
    incoming.on('data', (chunk: Buffer) => {
      this.#listener.onRequestChunk?.(chunk)
      if (request.destroyed || request.write(chunk)) return
      incoming.pause()
      request.once('drain', () => incoming.resume())
    })
    // The upstream may answer, or go away, before it has read the body.
    request.once('close', () => incoming.resume())
    incoming.on('end', () => {
      if (incoming.rawTrailers.length > 0) request.addTrailers([...headerPairs(incoming.rawTrailers)])
      request.end()
      this.#listener.onRequestEnd?.()
    })
    incoming.on('error', () => {})
  }

  /** While the head is held back, what follows it is read on: the upstream may go away, and the client gets what came before that. */
  async #relay(response: IncomingMessage): Promise<void> {
    this.#hasResponse = true
    const { statusCode: status = 0, statusMessage: reason = '', rawHeaders, headers } = response
    const held: (() => void)[] = []
    let isHeld = true
    const afterHead = (action: () => void) => void (isHeld ? held.push(action) : action())
    response.on('data', (chunk: Buffer) => {
      this.#listener.onResponseChunk?.(chunk)
      if (isHeld && held.length >= maxHeldChunks) response.pause()
      afterHead(() => this.#outgoing.write(chunk) || response.pause())
    })
    response.on('end', () => response.complete && afterHead(() => this.#finish(response)))
    response.on('error', error => afterHead(() => this.#cut(error)))
    response.on(
      'close',
      () => response.complete || afterHead(() => this.#cut(new Error('the upstream closed the connection'))),
    )
    await this.#listener.onResponse?.({ status, reason, rawHeaders, headers })
    isHeld = false
    const outgoing = this.#outgoing
    if (outgoing.destroyed) return
    // The upstream's Date, or none.
    outgoing.sendDate = false
    outgoing.writeHead(status, reason, endToEndHeaders(rawHeaders))
    // Sends the head at once. flushHeaders() would encode it another time, as UTF-8.
    outgoing.write(nothing)
    outgoing.on('drain', () => response.resume())
    response.resume()
    for (const action of held) action()
  }

  #finish({ rawTrailers }: IncomingMessage): void {
    if (rawTrailers.length > 0) this.#outgoing.addTrailers([...headerPairs(rawTrailers)])
    this.#outgoing.end()
    this.#end({ kind: 'complete' })
  }

  #unreachable(error: Error): void {
    if (this.#hasEnded) return
    this.#end({ kind: 'unreachable', error })
    // The client would see the same without the tap.
    if (this.#wasConnected) this.#outgoing.destroy()
    else respond(this.#outgoing, this.#listener.unreachableResponse(error))
  }

  #cut(error: Error): void {
    this.#end({ kind: 'cut', error })
    // After what came before.
    this.#outgoing.write(nothing, () => this.#outgoing.destroy())
  }

  /** The response cannot be passed on. */
  #break(error: Error): void {
    this.#end({ kind: 'cut', error })
    this.#request.destroy()
    this.#outgoing.destroy()
  }

  #end(end: ForwardEnd): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#listener.onEnd?.(end)
  }
}
