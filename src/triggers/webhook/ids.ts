import { hash, randomUUIDv7 } from 'node:crypto'
import { correlationAt } from '../../bus/ids.ts'

/*
 * A repeated request must have no effect. Its id makes it a duplicate for as long as the log remembers ids. A log that forgets ids
 * before the replay window ends stores it twice, but with the same correlation, so that its task exists already.
 */

/** `sourceId`: the id that the source gave the request. Without it every request is a new one. */
export function webhookEventId(endpoint: string, sourceId: string | undefined, body: Buffer): string {
  if (sourceId === undefined) return `webhook:${endpoint}:${randomUUIDv7()}`
  return `webhook:${endpoint}:${hash('sha256', `${sourceId}\0${hash('sha256', body, 'hex')}\0`, 'hex')}`
}

/** A UUIDv7 that follows from the id and the signed time (ms since the epoch); a random one if no time was signed. */
export function webhookCorrelation(id: string, signedAt: number | undefined): string {
  return signedAt === undefined ? randomUUIDv7() : correlationAt(signedAt, id)
}
