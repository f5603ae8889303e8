import { hash } from 'node:crypto'
import { acceptedEvents, type ReceivedEvent } from './match.ts'
import type { InstanceState } from './state.ts'

/* The events of an instance: ids that it has seen, and early events that it keeps until a step waits for them. */

const maxEarly = 256
const maxSeen = 512

/** Whether the event was taken, is kept, or was reported as late. */
export function hasSeen({ seen, early, wait }: InstanceState, id: string): boolean {
  if (seen?.includes(idDigest(id))) return true
  // Events in the current wait count as seen even after their id was dropped from `seen`.
  const held = wait?.kind === 'when' ? acceptedEvents(wait) : []
  return early?.some(event => event.id === id) === true || held.some(event => event.id === id)
}

export function markSeen(state: InstanceState, id: string): void {
  state.seen = [...(state.seen ?? []), idDigest(id)].slice(-maxSeen)
}

export function keepEarly(state: InstanceState, event: ReceivedEvent): boolean {
  const early = state.early ?? []
  if (early.length >= maxEarly) return false
  state.early = [...early, event]
  return true
}

/** Removes and returns the first kept event that matches. */
export function takeEarly(state: InstanceState, fits: (event: ReceivedEvent) => boolean): ReceivedEvent | undefined {
  const at = state.early?.findIndex(fits) ?? -1
  if (at < 0) return undefined
  const [picked] = state.early!.splice(at, 1)
  if (state.early!.length === 0) delete state.early
  return picked
}

/** 72 bits of SHA-256, so equal digests mean the same event. */
const idDigest = (id: string) => hash('sha256', id, 'base64url').slice(0, 12)

export const toReceivedEvent = ({ id, type, data }: ReceivedEvent): ReceivedEvent => ({ id, type, data })
