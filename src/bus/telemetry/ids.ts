import { hash } from 'node:crypto'

/*
 * Derives span ids, so that processes agree on them without communication. A trace without a caller uses the UUID of the
 * correlation. The span of a task is created when the task ends, and its id is a hash of the task id. The OpenTelemetry
 * API accepts no ids, so the SDK gets this generator.
 */

/** An id generator as the OpenTelemetry SDK accepts it. Ids are lower-case hex: 32 and 16 characters. */
export interface SpanIds {
  generateTraceId(): string
  generateSpanId(): string
}

let wanted: { traceId?: string; spanId?: string } = {}

/**
 * For `idGenerator` of an SDK. Without it the span of a task is a sibling of its calls, not their parent.
 * @example
 * import { TracerProvider } from '@opentelemetry/sdk-trace'
 * const provider = new TracerProvider({ idGenerator: spanIds() })
 */
export const spanIds = (): SpanIds => ({
  generateTraceId: () => wanted.traceId ?? randomHex(4),
  generateSpanId: () => wanted.spanId ?? randomHex(2),
})

/** Spans that `start` creates get these ids. */
export function withIds<T>(ids: { traceId?: string; spanId?: string }, start: () => T): T {
  wanted = ids
  try {
    return start()
  } finally {
    wanted = {}
  }
}

export const traceIdOf = (correlation: string) => correlation.replaceAll('-', '')
export const spanIdOf = (task: string) => hash('sha256', task, 'hex').slice(0, 16)

function randomHex(words: number): string {
  let text = ''
  for (let i = 0; i < words; i++)
    text += Math.floor(Math.random() * 0xffff_ffff + 1)
      .toString(16)
      .padStart(8, '0')
  return text
}
