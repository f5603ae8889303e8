import { hash } from 'node:crypto'

/*
 * The ids of spans that several processes must know without asking each other: a trace without a caller has the
 * correlation's UUID as its id, and the span of a task, which is made when the task ends, has one that follows from the
 * task. The API gives no way to say an id, so an SDK is handed this generator.
 */

export interface SpanIds {
  generateTraceId(): string
  generateSpanId(): string
}

let wanted: { traceId?: string; spanId?: string } = {}

/** For `idGenerator` of an SDK: without it the span of a task lies beside what the task asked for, and not above it. */
export const spanIds = (): SpanIds => ({
  generateTraceId: () => wanted.traceId ?? randomHex(4),
  generateSpanId: () => wanted.spanId ?? randomHex(2),
})

/** What is started inside gets these ids. */
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
