import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { Readable, Transform } from 'node:stream'
import { TidingsError } from '../../errors.ts'
import type { KnownSecrets } from '../../bus/known-secrets.ts'
import { AddressPolicy } from './allowed-addresses.ts'

/*
 * The `fetch` of MCP clients. That of the platform ends a response that is silent for five minutes, decompresses without a bound, and does not say
 * whether a request was sent. Each request has its own connection: on one that was kept, a request that meets a server's restart may or may
 * not have been received.
 */

/** The largest message of a server, in bytes. */
const maxMessageBytes = 16 * 1024 * 1024
/** The most that one stream may send, in bytes. */
const maxStreamBytes = 256 * 1024 * 1024
const connectTimeoutMs = 10_000

/** The request did not reach the server, so it may be sent again whatever it does. */
export class NotSentError extends Error {
  override readonly name = 'NotSentError'
}

/** The request was sent, and the connection ended before the end of the answer. */
export class LostConnectionError extends Error {
  override readonly name = 'LostConnectionError'
}

type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>

/** `home`: the address of the server, as the app configured it. `secrets` learns the tokens that are sent. */
export function boundedFetch(home: URL, secrets: KnownSecrets): Fetch {
  const policy = new AddressPolicy(home)
  return async (url, init) => {
    const target = new URL(url)
    const request = new Request(target, { ...init, redirect: 'manual' })
    secrets.add(request.headers.get('authorization')?.replace(/^\S+ /, '') ?? '')
    const body = request.body ? Buffer.from(await request.arrayBuffer()) : undefined
    let addresses: readonly string[]
    try {
      addresses = await policy.allowed(target)
    } catch (error) {
      if (error instanceof TidingsError) throw error
      throw new NotSentError(`${target.host} is not known: ${(error as Error).message}`, { cause: error })
    }
    return send(target, { request, body, addresses, signal: init?.signal ?? undefined })
  }
}

interface Sending {
  readonly request: Request
  readonly body: Buffer | undefined
  readonly addresses: readonly string[]
  /** Not that of the request, which no longer follows this one when the request was garbage-collected. */
  readonly signal: AbortSignal | undefined
}

function send(url: URL, { request: { method, headers }, body, addresses, signal }: Sending): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>()
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest
  let isConnected = false
  const request: ClientRequest = open(url, {
    method,
    headers: { ...Object.fromEntries(headers), ...(body && { 'content-length': String(body.length) }) },
    agent: false,
    ...(signal && { signal }),
    // The addresses that were checked, and no later answer of the name server.
    lookup: fixedLookup(addresses),
  })
  const timer = setTimeout(
    () => request.destroy(new Error(`no connection within ${connectTimeoutMs} ms`)),
    connectTimeoutMs,
  )
  request.on('socket', socket => {
    socket.setKeepAlive(true, 5_000)
    socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      isConnected = true
      clearTimeout(timer)
    })
  })
  request.on('error', error => {
    clearTimeout(timer)
    if (signal?.aborted) reject(error)
    else reject(new (isConnected ? LostConnectionError : NotSentError)(error.message, { cause: error }))
  })
  request.on('response', response => resolve(responseOf(response)))
  request.end(body)
  return promise
}

function fixedLookup(addresses: readonly string[]): LookupFunction {
  const found = addresses.map(address => ({ address, family: isIP(address) }))
  return (_, options, callback) =>
    options.all ? callback(null, found) : callback(null, found[0]!.address, found[0]!.family)
}

const bodiless = new Set([204, 205, 304])

function responseOf(response: IncomingMessage): Response {
  const headers = new Headers()
  for (const [name, value] of Object.entries(response.headers))
    for (const each of [value ?? []].flat()) headers.append(name, each)
  const status = response.statusCode!
  if (bodiless.has(status)) {
    response.resume()
    return new Response(null, { status, headers })
  }
  const isStream = /^text\/event-stream\b/i.test(headers.get('content-type') ?? '')
  const bound = isStream ? new MessageBound() : new SizeBound(maxMessageBytes)
  response.on('error', error => bound.destroy(new LostConnectionError(error.message, { cause: error })))
  bound.on('close', () => response.destroy())
  return new Response(Readable.toWeb(response.pipe(bound)) as ReadableStream, { status, headers })
}

/** Passes bytes on, up to a maximum. */
class SizeBound extends Transform {
  readonly #max: number
  #bytes = 0

  constructor(max: number) {
    super()
    this.#max = max
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: (error: Error | null, chunk?: Buffer) => void) {
    this.#bytes += chunk.length
    if (this.#bytes > this.#max) done(tooLarge(this.#max))
    else done(null, chunk)
  }
}

/** The same for a stream of server-sent events. Each is one message, and ends with an empty line. */
class MessageBound extends SizeBound {
  #message = 0
  #lineLength = 0

  constructor() {
    super(maxStreamBytes)
  }

  override _transform(chunk: Buffer, encoding: BufferEncoding, done: (error: Error | null, chunk?: Buffer) => void) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const length = this.#lineLength + end - from
      const isEmpty = length === 0 || (length === 1 && (end === 0 || chunk[end - 1] === 13))
      this.#message = isEmpty ? 0 : this.#message + end - from + 1
      this.#lineLength = 0
      from = end + 1
    }
    const rest = chunk.length - from
    this.#lineLength += rest
    this.#message += rest
    if (this.#message > maxMessageBytes) done(tooLarge(maxMessageBytes))
    else super._transform(chunk, encoding, done)
  }
}

const tooLarge = (max: number) =>
  new TidingsError('E_MCP_PROTOCOL', `the MCP server sent more than ${max / 1024 / 1024} MiB at once`)
