import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { effectPolicyKey, type ReplayOrigin, type EffectPolicy } from '../tasks/effects.ts'
import type { ResolvedEffects } from './effects.ts'

/** A new redrive or fork. */
export interface ReplayRun {
  readonly kind: EffectPolicy['kind']
  readonly id: string
  /** Value of the attribute `replay` on every event that descends from it: `redrive/ID` or `fork/ID`. */
  readonly replay: string
}

export function newReplayRun(kind: EffectPolicy['kind']): ReplayRun {
  const id = randomUUIDv7()
  return { kind, id, replay: `${kind}/${id}` }
}

/** Stores the effect policy, which must exist before the first event is published. */
export async function storeEffectPolicy(
  bus: Bus,
  { kind, id }: ReplayRun,
  of: ReplayOrigin,
  ruled: ResolvedEffects,
): Promise<void> {
  const terms: EffectPolicy = { kind, of, ...ruled, by: '/cli', at: new Date().toISOString() }
  await bus.documents.create(effectPolicyKey(id), terms)
}
