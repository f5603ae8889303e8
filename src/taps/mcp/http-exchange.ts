import type { IncomingHttpHeaders } from 'node:http'
import { failure, type ErrorData } from '../../errors.ts'
import { describeThrown, truncateText } from '../../thrown.ts'
import type { CaptureShare } from '../capture-room.ts'
import { bodyDecoder, type BodyDecoder } from '../body-decoder.ts'
import { cancelledBy } from './call-end.ts'
import { EventStreamReader, type EventStreamMessage } from '../event-stream-reader.ts'
import { messagesIn, type JsonRpcMessage } from './json-rpc.ts'
import type { McpObserver } from './observer.ts'
import type { CallOrigin } from '../request-origin.ts'

/*
 * MCP over HTTP, in three forms. In the protocol up to 2025-11-25 a client may open a session, which a header of its requests names; an answer may
 * come on any stream of the session. In that of 2026-07-28, and without a session, an answer comes in the response to its request, and ids are
 * unique in one exchange only. In the oldest form a stream is opened first: its first event names the session, and it carries all answers.
 */

const maxMessageBytes = 64 * 1024 * 1024

export interface McpRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly origin: CallOrigin
}

export interface McpResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

export interface McpExchangeOptions {
  readonly observer: McpObserver<CallOrigin>
  /** Another one for each exchange. */
  readonly name: string
  /** Of the memory of all bodies. */
  readonly share: CaptureShare
  /** Something that passed cannot be recorded. */
  readonly onUnread: (why: string) => void
}

/** How an exchange ended: the whole response passed, the client went away, or the server did. */
export type McpExchangeEnd = { readonly kind: 'complete' | 'aborted' } | { readonly kind: 'lost'; readonly why: string }

/** Reads the messages of one HTTP exchange. */
export class McpExchange {
  readonly #observer: McpObserver<CallOrigin>
  readonly #request: McpRequest
  readonly #onUnread: (why: string) => void
  readonly #share: CaptureShare
  readonly #requestBody: BodyDecoder
  readonly #hasSession: boolean
  #scope: string
  #response: McpResponse | undefined
  #responseBody: BodyDecoder | undefined
  /** The beginning of a response that is not a stream. */
  #text = ''
  /** The client may ask for the rest of the stream later. */
  #isResumable = false
  /** The stream that carries all answers of a session. */
  #carriesSession = false

  constructor(request: McpRequest, { observer, name, share, onUnread }: McpExchangeOptions) {
    this.#observer = observer
    this.#request = request
    this.#onUnread = onUnread
    this.#share = share
    const session = sessionOf(request)
    this.#hasSession = session !== undefined
    this.#scope = session ?? `exchange ${name}`
    this.#requestBody = this.#textBody(request.headers, text => this.#fromClient(text))
  }

  requestChunk(chunk: Buffer): void {
    this.#requestBody.push(chunk)
  }

  requestEnd(): void {
    this.#requestBody.end()
  }

  response(response: McpResponse): void {
    this.#response = response
    const isStream = response.headers['content-type']?.trim().toLowerCase().startsWith('text/event-stream')
    this.#responseBody = isStream ? this.#streamBody(response.headers) : this.#answerBody(response.headers)
  }

  responseChunk(chunk: Buffer): void {
    this.#responseBody?.push(chunk)
  }

  end(end: McpExchangeEnd): void {
    if (end.kind === 'complete' && this.#responseBody) this.#responseBody.end()
    else this.#finish(end)
  }

  /** A body that is one message, or a batch. */
  #textBody(headers: IncomingHttpHeaders, done: (text: string) => void): BodyDecoder {
    const chunks: Buffer[] = []
    let isFull = false
    return bodyDecoder(headers['content-encoding'], maxMessageBytes, {
      chunk: bytes => {
        isFull ||= !this.#share.take(bytes.length)
        if (isFull) chunks.length = 0
        else chunks.push(bytes)
      },
      end: given => {
        const problem = given ?? (isFull ? 'too many messages pass at once' : undefined)
        if (problem !== undefined) this.#onUnread(problem)
        done(problem === undefined ? Buffer.concat(chunks).toString() : '')
        this.#share.release()
      },
    })
  }

  #answerBody(headers: IncomingHttpHeaders): BodyDecoder {
    return this.#textBody(headers, text => {
      this.#text = text
      this.#fromServer(text)
      this.#finish({ kind: 'complete' })
    })
  }

  #streamBody(headers: IncomingHttpHeaders): BodyDecoder {
    const tooLong = () => this.#onUnread(`a message is longer than ${maxMessageBytes} bytes`)
    const reader = new EventStreamReader(maxMessageBytes, event => this.#event(event), tooLong)
    return bodyDecoder(headers['content-encoding'], Number.POSITIVE_INFINITY, {
      chunk: bytes => reader.push(bytes),
      end: problem => {
        if (problem !== undefined) this.#onUnread(problem)
        this.#finish({ kind: 'complete' })
      },
    })
  }

  #event({ event, data, id }: EventStreamMessage): void {
    if (id !== undefined) this.#isResumable = true
    if (event === 'message') return this.#fromServer(data)
    if (event !== 'endpoint') return
    const session = oldSessionOf(data)
    if (session === undefined) return
    this.#scope = session
    this.#carriesSession = true
  }

  #fromClient(text: string): void {
    const context = { scope: this.#scope, exchange: this, origin: this.#request.origin }
    this.#each(text, message => this.#observer.fromClient(message, context))
  }

  #fromServer(text: string): void {
    this.#each(text, message => this.#observer.fromServer(message, this.#scope))
  }

  /** Nothing that a message contains may stop what is forwarded. */
  #each(text: string, see: (message: JsonRpcMessage) => void): void {
    for (const message of messagesIn(text))
      try {
        see(message)
      } catch (error) {
        this.#onUnread(describeThrown(error))
      }
  }

  /** Calls of this exchange that are open now have no answer, unless it may come by another way. */
  #finish(end: McpExchangeEnd): void {
    const { status = 0 } = this.#response ?? {}
    const isEnded = this.#request.method === 'DELETE' && status < 300
    if (this.#hasSession && (status === 404 || isEnded)) this.#observer.interrupt(sessionEnded, { scope: this.#scope })
    if (this.#carriesSession) return this.#observer.interrupt(this.#errorOf(end), { scope: this.#scope })
    const mayComeLater = (this.#hasSession && this.#isResumable) || (end.kind === 'complete' && status === 202)
    if (!mayComeLater) this.#observer.interrupt(this.#errorOf(end), { exchange: this })
  }

  #errorOf(end: McpExchangeEnd): ErrorData {
    if (end.kind === 'lost') return failure('E_TAP_UPSTREAM', end.why)
    if (end.kind === 'aborted') return cancelledBy('the client closed the connection')
    const { status = 0 } = this.#response ?? {}
    if (status < 400) return failure('E_TAP_INTERRUPTED', 'the response of the server had no answer to the call')
    const what = `the server answered with status ${status}: ${this.#text.slice(0, 1_000)}`
    return { ...failure('E_TAP_UPSTREAM', truncateText(what)), originalCode: String(status) }
  }
}

const sessionEnded = failure('E_TAP_INTERRUPTED', 'the session ended before the call was answered')

/** The session that a request belongs to. */
export function sessionOf({ headers, path }: Pick<McpRequest, 'headers' | 'path'>): string | undefined {
  const session = headers['mcp-session-id']
  return typeof session === 'string' ? `session ${session}` : oldSessionOf(path)
}

/** The session in the address to which clients of the protocol of 2024-11-05 send. */
function oldSessionOf(address: string): string | undefined {
  const query = URL.parse(address, 'http://mcp.invalid')?.searchParams
  const session = query?.get('sessionId') ?? query?.get('session_id')
  return session ? `session ${session}` : undefined
}
