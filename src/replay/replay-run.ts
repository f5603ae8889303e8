import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { effectPolicyKey, type EffectPolicy } from '../tasks/effects.ts'

/** A new redrive or fork. */
export interface ReplayRun {
  readonly kind: EffectPolicy['kind']
  readonly id: string
  /** Value of the attribute `replay` on every event that descends from it: `redrive/ID` or `fork/ID`. */
  readonly replay: string
}

/** Starts a redrive or fork: stores its effect policy, which must exist before the first event is published. */
export async function startReplayRun(
  bus: Bus,
  rules: Pick<EffectPolicy, 'kind' | 'of' | 'effects' | 'stubs'>,
): Promise<ReplayRun> {
  const { kind } = rules
  const id = randomUUIDv7()
  const policy: EffectPolicy = { ...rules, by: '/cli', at: new Date().toISOString() }
  await bus.documents.create(effectPolicyKey(id), policy)
  return { kind, id, replay: `${kind}/${id}` }
}
