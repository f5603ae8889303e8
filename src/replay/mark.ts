import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { termsKey, type Origin, type ReplayTerms } from '../tasks/effects.ts'
import type { Ruled } from './effects.ts'

/** A new redrive or fork. */
export interface Marked {
  readonly kind: ReplayTerms['kind']
  readonly id: string
  /** What all that descends from it bears as `replay`. */
  readonly mark: string
}

export function newMark(kind: ReplayTerms['kind']): Marked {
  const id = randomUUIDv7()
  return { kind, id, mark: `${kind}/${id}` }
}

/** Writes down what it is and what it may do, which must be there before its first event. */
export async function putTerms(bus: Bus, { kind, id }: Marked, of: Origin, ruled: Ruled): Promise<void> {
  const terms: ReplayTerms = { kind, of, ...ruled, by: '/cli', at: new Date().toISOString() }
  await bus.driver.putDocument(termsKey(id), JSON.stringify(bus.redactor.value(terms)), 0)
}
