import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { resultId } from '../bus/ids.ts'

/* A call that a retry makes again has the keys of the first one, and what that gave is its answer. */

/** Names a call for whatever it causes: the same however often the call is made again. */
export const idempotencyKeyOf = ({ id, retryof }: CloudEvent): string => retryof ?? id

/** What the first call gave, where it gave something. */
export async function firstResult(bus: Bus, { retryof, correlationid }: CloudEvent): Promise<Result | undefined> {
  if (retryof === undefined) return undefined
  return readResult(bus, await bus.get(resultId(retryof), correlationid))
}

/** What any of the calls with this key gave: one that was made again may have been answered in place of the first. */
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
