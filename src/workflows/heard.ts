import { hash } from 'node:crypto'
import { takenIn, type Heard } from './match.ts'
import type { State } from './state.ts'

/* What has come for an instance: the ids that it knows, and the events that it keeps until their turn comes. */

const mostEarly = 256
const mostSeen = 512

/** Whether this event was taken, is kept, or was told to be late. */
export function knows({ seen, early, wait }: State, id: string): boolean {
  if (seen?.includes(markOf(id))) return true
  // What waits longer than ids are remembered is known by itself.
  const held = wait?.kind === 'when' ? takenIn(wait) : []
  return early?.some(event => event.id === id) === true || held.some(event => event.id === id)
}

export function remember(state: State, id: string): void {
  state.seen = [...(state.seen ?? []), markOf(id)].slice(-mostSeen)
}

/** Keeps an event for later. False when so many are kept already. */
export function keep(state: State, event: Heard): boolean {
  const early = state.early ?? []
  if (early.length >= mostEarly) return false
  state.early = [...early, event]
  return true
}

/** The first kept event of which this is true, which is then kept no more. */
export function pick(state: State, isWanted: (event: Heard) => boolean): Heard | undefined {
  const at = state.early?.findIndex(isWanted) ?? -1
  if (at < 0) return undefined
  const [picked] = state.early!.splice(at, 1)
  if (state.early!.length === 0) delete state.early
  return picked
}

/** 72 bits of SHA-256: what is known twice is the same event. */
const markOf = (id: string) => hash('sha256', id, 'base64url').slice(0, 12)

/** What an instance keeps of an event. */
export const kept = ({ id, type, data }: Heard): Heard => ({ id, type, data })
