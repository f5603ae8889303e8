import { hash, randomUUIDv7 } from 'node:crypto'
import { digestOf } from '../digest.ts'

/**
 * The ids of the event for a request. `sourceId`: the id that the source gave the request, which a retry repeats, also under a new
 * signature. The correlation follows from it. Without it every request is a new one.
 */
export function webhookIds(endpoint: string, sourceId: string | undefined, body: Buffer) {
  const prefix = `webhook:${endpoint}:`
  if (sourceId === undefined) return { id: prefix + randomUUIDv7(), correlationid: randomUUIDv7() }
  return { id: prefix + digestOf(sourceId, hash('sha256', body, 'hex')) }
}
