import { hash } from 'node:crypto'
import type { Control } from './control.ts'

/** Who answers a request. */
export type Side = 'old' | 'candidate'

/** Where a key is on the scale from 0 to 100, the same in every process. Each strangler places its keys in its own way. */
export function bucketOf(strangler: string, key: string): number {
  const digest = hash('sha256', `${strangler}\0${key}`, 'buffer')
  return (digest.readUInt32BE() / 2 ** 32) * 100
}

/**
 * The side of a request. The first key decides by its bucket, which is below a higher percentage too: a key never leaves the candidate
 * while the percentage grows. Any key can be on a list, and `never` comes first.
 */
export function sideOf(strangler: string, { percent, always, never }: Control, keys: readonly string[]): Side {
  if (keys.some(key => never.includes(key))) return 'old'
  if (keys.some(key => always.includes(key))) return 'candidate'
  return bucketOf(strangler, keys[0]!) < percent ? 'candidate' : 'old'
}
