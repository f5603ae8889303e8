import { hash } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'

/*
 * A request that may be repeated. Its ids are stored under the caller's key before it is published, so that a repeated request publishes the
 * same events, which the log takes once:
 *
 *     document { digest, correlationid, ids } ─▶ publish those ids ─▶ …    a repeat finds the document, and publishes what is missing
 */

/** How long a key is remembered. */
const keptMs = 24 * 3_600_000

/** What a request publishes. */
export interface PlannedRequest {
  readonly correlationid: string
  readonly ids: readonly string[]
}

interface IdempotentRequest {
  readonly tenant: string
  /** Users do not meet under the same key. */
  readonly user: string | undefined
  /** What the caller calls the request. Keys of different operations differ. */
  readonly key: string
  readonly operation: string
  /** Everything that the same request repeats. */
  readonly body: string
}

/**
 * The plan of the first request with this key: `plan` itself if this is the first. A function makes it only if the key is new.
 * @throws E_KEY_REUSED if the first request had another body, E_LOG_UNAVAILABLE
 */
export async function planOnce(
  bus: Bus,
  request: IdempotentRequest,
  plan: PlannedRequest | (() => Promise<PlannedRequest>),
): Promise<{ readonly plan: PlannedRequest; readonly isRepeated: boolean }> {
  const { tenant, user = null, key, operation, body } = request
  const document = `idempotency/${tenant}/${hash('sha256', JSON.stringify([user, operation, key]))}`
  const digest = hash('sha256', body)
  const isLazy = typeof plan === 'function'
  let text = isLazy ? await bus.documents.readText(document) : undefined
  if (text === undefined) {
    const own = isLazy ? await plan() : plan
    if (await bus.documents.createText(document, JSON.stringify({ digest, ...own }), keptMs))
      return { plan: own, isRepeated: false }
    text = await bus.documents.readText(document)
  }
  // It expired between the two calls.
  if (text === undefined) return planOnce(bus, request, plan)
  const { digest: first, ...earlier } = JSON.parse(text) as PlannedRequest & { readonly digest: string }
  if (first === digest) return { plan: earlier, isRepeated: true }
  throw new TidingsError('E_KEY_REUSED', `another request to ${operation} had the same idempotency key`)
}
