import type { GatewayConnection } from '../../../src/client/connection.ts'
import type { CloudEvent } from '../../../src/event.ts'

/** What stands around the events of an answer: its first line, and its last. */
interface Frame {
  readonly head: string
  /** There are more events after this cursor. */
  readonly next?: string
}

/**
 * All events of a correlation, in the parts in which they arrive: the gateway writes one a line. Returns the cursor where its stream
 * continues.
 * @throws ClientError
 */
export async function* readRows(
  connection: GatewayConnection,
  correlation: string,
  signal?: AbortSignal,
): AsyncGenerator<CloudEvent[], string> {
  for (let after: string | undefined; ; ) {
    const query = after === undefined ? '' : `?after=${encodeURIComponent(after)}`
    const path = `correlations/${correlation}/events${query}`
    const response = await connection.send(path, { signal, retryForMs: Infinity })
    const { head, next } = yield* rowsIn(response.body!)
    if (next === undefined) return head
    after = next
  }
}

async function* rowsIn(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<CloudEvent[], Frame> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let begin: string | undefined
  let rest = ''
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return JSON.parse(`${begin}${rest}`) as Frame
      const end = value.lastIndexOf('\n')
      if (end === -1) {
        rest += value
        continue
      }
      let lines = rest + value.slice(0, end)
      rest = value.slice(end + 1)
      if (begin === undefined) {
        const first = lines.indexOf('\n')
        begin = first === -1 ? lines : lines.slice(0, first)
        lines = first === -1 ? '' : lines.slice(first + 1)
      }
      if (lines.endsWith(',')) lines = lines.slice(0, -1)
      if (lines.length > 0) yield JSON.parse(`[${lines}]`) as CloudEvent[]
    }
  } finally {
    void reader.cancel().catch(() => {})
  }
}
