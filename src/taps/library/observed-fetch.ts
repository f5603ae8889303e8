import type { IncomingHttpHeaders } from 'node:http'
import { textOf } from '../../errors.ts'
import type { ForwardEnd, ForwardListener, RequestHead } from '../forward.ts'

type Fetch = typeof globalThis.fetch
type FetchParameters = [input: string | URL | Request, init?: RequestInit | undefined]

/** A `fetch` that behaves like the given one, and shows what passes. */
export function observedFetch(observe: (head: RequestHead) => ForwardListener, send: Fetch): Fetch {
  return async (...given: FetchParameters) => {
    const listener = observe(headOf(...given))
    // Other requests are not looked at.
    if (!listener.onResponse) return send(...given)
    const { parameters, body } = await withBody(...given)
    const refusal = body && (await listener.admit?.(body))
    if (refusal) return Response.json(refusal.body, { status: refusal.status, headers: refusal.headers ?? {} })
    if (body && !listener.admit) {
      listener.onRequestChunk?.(body)
      listener.onRequestEnd?.()
    }
    const { signal } = given[1] ?? (given[0] instanceof Request ? given[0] : {})
    const end = endOnce(listener, signal ?? undefined)
    const response = await send(...parameters).catch((error: unknown) => {
      end({ kind: 'unreachable', error: errorOf(error) })
      throw error
    })
    await listener.onResponse(responseHead(response))
    return observedResponse(response, listener, end)
  }
}

function headOf(input: FetchParameters[0], init: RequestInit = {}): RequestHead {
  const request = input instanceof Request ? input : undefined
  const { pathname, search } = new URL(input instanceof Request ? input.url : input)
  const headers = new Headers(init.headers ?? request?.headers)
  return {
    method: (init.method ?? request?.method ?? 'GET').toUpperCase(),
    url: pathname + search,
    headers: Object.fromEntries(headers),
    rawHeaders: [...headers].flat(),
  }
}

/** The body of a request, and the parameters with which it is sent. Undefined if its bytes are known only when it is sent. */
async function withBody(
  input: FetchParameters[0],
  init?: RequestInit,
): Promise<{ readonly parameters: FetchParameters; readonly body: Buffer | undefined }> {
  const body = init?.body
  const parameters: FetchParameters = [input, init]
  if (body === undefined || body === null) {
    const isRequest = input instanceof Request && input.body
    return { parameters, body: isRequest ? Buffer.from(await input.clone().arrayBuffer()) : Buffer.alloc(0) }
  }
  if (typeof body === 'string' || body instanceof URLSearchParams)
    return { parameters, body: Buffer.from(String(body)) }
  if (body instanceof ArrayBuffer) return { parameters, body: Buffer.from(body.slice()) }
  if (ArrayBuffer.isView(body)) {
    const { buffer, byteOffset, byteLength } = body
    return { parameters, body: Buffer.from(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)) }
  }
  if (body instanceof Blob) return { parameters, body: Buffer.from(await body.arrayBuffer()) }
  return { parameters, body: undefined }
}

/** `fetch` decompresses the body and leaves the header. */
function responseHead({ status, statusText: reason, headers: given }: Response) {
  const headers = new Headers(given)
  headers.delete('content-encoding')
  return {
    status,
    reason,
    headers: Object.fromEntries(headers) as IncomingHttpHeaders,
    rawHeaders: [...headers].flat(),
  }
}

type End = (end: ForwardEnd) => void

function endOnce(listener: ForwardListener, signal: AbortSignal | undefined): End {
  let hasEnded = false
  return end => {
    if (hasEnded) return
    hasEnded = true
    listener.onEnd?.(signal?.aborted ? { kind: 'aborted' } : end)
  }
}

/** The same response, whose body is seen as it is read. */
function observedResponse(response: Response, listener: ForwardListener, end: End): Response {
  if (!response.body) {
    end({ kind: 'complete' })
    return response
  }
  if (!(response.body instanceof ReadableStream)) {
    end({ kind: 'cut', error: new Error('the body of this fetch is not a web stream, so it is not recorded') })
    return response
  }
  const { status, statusText, headers } = response
  const observed = new Response(observedBody(response.body, listener, end), { status, statusText, headers })
  for (const name of ['url', 'redirected', 'type'] as const)
    Object.defineProperty(observed, name, { value: response[name], configurable: true })
  return observed
}

/** A stream that passes chunks on as they are read, and shows each one. */
export function observedBody(
  body: ReadableStream<Uint8Array>,
  { onResponseChunk }: Pick<ForwardListener, 'onResponseChunk'>,
  end: End,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader()
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { value, done } = await reader.read()
          if (done) {
            end({ kind: 'complete' })
            controller.close()
            return
          }
          onResponseChunk?.(Buffer.from(value))
          controller.enqueue(value as Uint8Array<ArrayBuffer>)
        } catch (error) {
          end({ kind: 'cut', error: errorOf(error) })
          controller.error(error)
        }
      },
      async cancel(reason) {
        end({ kind: 'aborted' })
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}

const errorOf = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(textOf(thrown)))
