import { hash, randomUUIDv7 } from 'node:crypto'
import { correlationAt } from '../../bus/ids.ts'

/*
 * The same request again must be inert. Its id says so, as far back as the log knows ids. A log that forgets them sooner than the
 * replay window ends stores it once more; then it has the same correlation, so that the task that it would start is there already.
 */

/** `own`: what the source calls it. Without that each request is one of its own. */
export function webhookEventId(endpoint: string, own: string | undefined, body: Buffer): string {
  if (own === undefined) return `webhook:${endpoint}:${randomUUIDv7()}`
  return `webhook:${endpoint}:${hash('sha256', `${own}\0${hash('sha256', body, 'hex')}\0`, 'hex')}`
}

/** A UUIDv7, the same for the same id that was signed at the same time (ms since the epoch); any where no time was signed. */
export function webhookCorrelation(id: string, at: number | undefined): string {
  return at === undefined ? randomUUIDv7() : correlationAt(at, id)
}
