import type { Span } from '@opentelemetry/api'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import type { Delivery } from '../bus/driver.ts'
import { claimId, resultId } from '../bus/ids.ts'
import { traceparentFor } from '../bus/telemetry/spans.ts'

/*
 * A call of a tool or an inline step that a retry of its task repeats has the idempotency key of the first call, and its result if
 * there is one. A call that must not start twice is claimed under that key.
 */

/** The idempotency key of a call, which is the same when a retry repeats it. */
export const idempotencyKeyOf = ({ id, retryof }: CloudEvent): string => retryof ?? id

/** The result of the first call; undefined if it has none. */
export async function firstResult(bus: Bus, { retryof, correlationid }: CloudEvent): Promise<Result | undefined> {
  if (retryof === undefined) return undefined
  return readResult(bus, await bus.get(resultId(retryof), correlationid))
}

/** A call whose start is claimed. */
export interface StartClaim {
  readonly event: CloudEvent
  readonly kind: 'tool' | 'step'
  readonly name: string
  readonly source: string
  readonly span?: Span | undefined
}

/**
 * Claims the start of an `atMostOnce` call. Returns the result of an earlier start, if there is one.
 * @throws E_TOOL_OUTCOME_UNKNOWN if it was started before and has no result
 */
export async function claimStart(
  bus: Bus,
  delivery: Delivery,
  { event, kind, name, source, span }: StartClaim,
): Promise<Result | undefined> {
  const isFirst = await bus.claim(delivery, {
    id: claimId(idempotencyKeyOf(event)),
    type: `${kind}.claimed`,
    source,
    tenant: event.tenant,
    correlationid: event.correlationid,
    causationid: event.id,
    hops: event.hops,
    ...traceparentFor(span, event),
    ...(event.replay !== undefined && { replay: event.replay }),
    data: null,
  })
  if (isFirst) return undefined
  const known = event.retryof === undefined ? undefined : await anyEarlierResult(bus, event)
  if (known) return known
  throw new TidingsError('E_TOOL_OUTCOME_UNKNOWN', `"${name}" was started before and its result is unknown`)
}

async function anyEarlierResult(bus: Bus, call: CloudEvent): Promise<Result | undefined> {
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
  if (answer?.type !== 'tool.result' && answer?.type !== 'step.result') return undefined
  const { output } = (await bus.resolve(answer)).data as { output?: unknown }
  return { output: output ?? null }
}
