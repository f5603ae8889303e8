/** Proxies close a connection that is silent for longer. */
const keepAliveMs = 15_000

const encoder = new TextEncoder()
const eventStreamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  // Otherwise nginx collects events before it sends them.
  'x-accel-buffering': 'no',
}

/**
 * Server-sent events as a web `Response`. `frames` are read as fast as the client takes them, until they end or the client goes away, which
 * aborts the signal. If they throw, the connection ends there.
 */
export function eventStreamResponse(
  frames: (signal: AbortSignal) => AsyncGenerator<string>,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const gone = new AbortController()
  const events = frames(gone.signal)
  let timer: NodeJS.Timeout | undefined
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': \n\n'))
      }, keepAliveMs)
      timer.unref()
    },
    async pull(controller) {
      const { value, done } = await events.next().catch(() => ({ value: undefined, done: true }))
      if (value !== undefined) return controller.enqueue(encoder.encode(value))
      clearInterval(timer)
      if (done && !gone.signal.aborted) controller.close()
    },
    cancel() {
      clearInterval(timer)
      gone.abort()
    },
  })
  return new Response(body, { headers: { ...eventStreamHeaders, ...headers } })
}
