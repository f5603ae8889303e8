import { TidingsError } from '../errors.ts'

/** Proxies close a connection that is silent for longer. */
const keepAliveMs = 15_000

const encoder = new TextEncoder()
const eventStreamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  // Otherwise nginx collects events before it sends them.
  'x-accel-buffering': 'no',
}

export interface EventStreamOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Whether the client may read no more. It is asked with every heartbeat. */
  readonly hasEnded?: (() => boolean) | undefined
}

/**
 * Server-sent events as a web `Response`. `frames` are read as fast as the client takes them, until they end or the client goes away, which
 * aborts the signal. If they throw, or the client may read no more, the body fails: a client would take a regular end for that of the answer.
 */
export function eventStreamResponse(
  frames: (signal: AbortSignal) => AsyncGenerator<string>,
  { headers, hasEnded }: EventStreamOptions = {},
): Response {
  const gone = new AbortController()
  const events = frames(gone.signal)
  let timer: NodeJS.Timeout | undefined
  const stop = () => {
    clearInterval(timer)
    gone.abort()
  }
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => {
        if (hasEnded?.()) {
          stop()
          controller.error(new TidingsError('E_CREDENTIAL_UNKNOWN', 'the credential was revoked or has expired'))
        } else if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': \n\n'))
      }, keepAliveMs)
      timer.unref()
    },
    async pull(controller) {
      try {
        const { value, done } = await events.next()
        if (gone.signal.aborted) return
        if (!done) return controller.enqueue(encoder.encode(value))
        controller.close()
      } catch (error) {
        controller.error(error)
      }
      stop()
    },
    cancel: stop,
  })
  return new Response(body, { headers: { ...eventStreamHeaders, ...headers } })
}
