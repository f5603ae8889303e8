import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { resultId } from '../bus/ids.ts'

/* A call that a retry repeats has the idempotency key of the first call, and its result if there is one. */

/** The idempotency key of a call, which is the same when a retry repeats it. */
export const idempotencyKeyOf = ({ id, retryof }: CloudEvent): string => retryof ?? id

/** The result of the first call; undefined if it has none. */
export async function firstResult(bus: Bus, { retryof, correlationid }: CloudEvent): Promise<Result | undefined> {
  if (retryof === undefined) return undefined
  return readResult(bus, await bus.get(resultId(retryof), correlationid))
}

/** The result of any call with the same idempotency key. */
export async function anyEarlierResult(bus: Bus, call: CloudEvent): Promise<Result | undefined> {
  const key = idempotencyKeyOf(call)
  const calls = new Set([key])
  for await (const { event } of bus.read({ correlation: call.correlationid })) {
    if (event.retryof === key) calls.add(event.id)
    const result = calls.has(event.call ?? '') ? await readResult(bus, event) : undefined
    if (result) return result
  }
  return undefined
}

interface Result {
  readonly output: unknown
}

async function readResult(bus: Bus, answer: CloudEvent | undefined): Promise<Result | undefined> {
  if (answer?.type !== 'tool.result') return undefined
  const { output } = (await bus.resolve(answer)).data as { output?: unknown }
  return { output: output ?? null }
}
