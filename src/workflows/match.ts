import type { OnPattern } from './definition.ts'
import type { PatternNode } from './compile.ts'
import { holds, type Scope } from './evaluate.ts'

/*
 * Progress of a pattern. The first open leaf that matches takes an event and keeps it; a part that holds takes no more events. So the
 * cost of an event depends on the size of the pattern, not on earlier events.
 */

export interface ReceivedEvent {
  readonly id: string
  readonly type: string
  readonly data: unknown
}

/** Accepted events and running absences, by the number of the leaf or absence. */
export interface PatternProgress {
  taken?: Record<number, ReceivedEvent | ReceivedEvent[]>
  /** Start of an absence, ms since the epoch; null once it holds. */
  counted?: Record<number, number | null>
}

export type PatternState = 'open' | 'holds' | 'fails'

export function patternState(node: PatternNode, progress: PatternProgress): PatternState {
  switch (node.kind) {
    case 'on':
      return progress.taken?.[node.leaf] ? 'holds' : 'open'
    case 'count':
      return acceptedByLeaf(progress, node.leaf).length >= node.times ? 'holds' : 'open'
    case 'absent': {
      if (progress.counted?.[node.absence] === null) return 'holds'
      const inner = patternState(node.of, progress)
      return inner === 'open' ? 'open' : inner === 'holds' ? 'fails' : 'holds'
    }
    case 'seq': {
      for (const each of node.of) {
        const found = patternState(each, progress)
        if (found !== 'holds') return found
      }
      return 'holds'
    }
    case 'all':
    case 'any': {
      const found = node.of.map(each => patternState(each, progress))
      const [decisive, last] = node.kind === 'all' ? (['fails', 'holds'] as const) : (['holds', 'fails'] as const)
      if (found.includes(decisive)) return decisive
      return found.includes('open') ? 'open' : last
    }
  }
}

/** Gives the event to the first open leaf that matches. False if there is none. */
export function acceptEvent(node: PatternNode, progress: PatternProgress, event: ReceivedEvent, scope: Scope): boolean {
  if (patternState(node, progress) !== 'open') return false
  switch (node.kind) {
    case 'on':
      if (!matchesEvent(node.on, event, scope)) return false
      ;(progress.taken ??= {})[node.leaf] = event
      return true
    case 'count': {
      if (!matchesEvent(node.on, event, scope)) return false
      // Sorted by id, so that the order of arrival does not matter.
      const after = [...acceptedByLeaf(progress, node.leaf), event].sort((a, b) => (a.id < b.id ? -1 : 1))
      ;(progress.taken ??= {})[node.leaf] = after
      return true
    }
    case 'absent':
      return acceptEvent(node.of, progress, event, scope)
    case 'seq':
      return acceptEvent(node.of.find(each => patternState(each, progress) !== 'holds')!, progress, event, scope)
    case 'all':
    case 'any':
      return node.of.some(each => acceptEvent(each, progress, event, scope))
  }
}

/** Whether a leaf may take the event, now or later. */
export function mayAccept(node: PatternNode, progress: PatternProgress, event: ReceivedEvent, scope: Scope): boolean {
  if (patternState(node, progress) !== 'open') return false
  if (node.kind === 'on' || node.kind === 'count') return matchesEvent(node.on, event, scope)
  if (node.kind === 'absent') return mayAccept(node.of, progress, event, scope)
  return node.of.some(each => mayAccept(each, progress, event, scope))
}

/** The types of the events that leaves may take, now or later. */
export function openTypes(node: PatternNode, progress: PatternProgress): string[] {
  if (patternState(node, progress) !== 'open') return []
  if (node.kind === 'on' || node.kind === 'count') return [node.on.type]
  return (node.kind === 'absent' ? [node.of] : node.of).flatMap(each => openTypes(each, progress))
}

export const acceptedEvents = ({ taken }: PatternProgress): ReceivedEvent[] => Object.values(taken ?? {}).flat()

export function startAbsences(node: PatternNode, progress: PatternProgress, now: number): void {
  if (node.kind === 'on' || node.kind === 'count') return
  if (node.kind === 'absent') {
    if (progress.counted?.[node.absence] === undefined) (progress.counted ??= {})[node.absence] = now
    return startAbsences(node.of, progress, now)
  }
  for (const each of node.of) {
    startAbsences(each, progress, now)
    if (node.kind === 'seq' && patternState(each, progress) !== 'holds') return
  }
}

/** Marks absences as held whose time has passed. Only a timer may call it. False if there is none. */
export function expireAbsences(node: PatternNode, progress: PatternProgress, now: number): boolean {
  if (node.kind === 'on' || node.kind === 'count' || patternState(node, progress) !== 'open') return false
  if (node.kind !== 'absent') return node.of.filter(each => expireAbsences(each, progress, now)).length > 0
  if (expireAbsences(node.of, progress, now)) return true
  const since = progress.counted?.[node.absence]
  if (typeof since !== 'number' || since + node.ms > now) return false
  progress.counted![node.absence] = null
  return true
}

/** The times at which running absences hold. */
export function* absenceDeadlines(node: PatternNode, progress: PatternProgress): Generator<number> {
  if (node.kind === 'on' || node.kind === 'count' || patternState(node, progress) !== 'open') return
  if (node.kind === 'absent') {
    const since = progress.counted?.[node.absence]
    if (typeof since === 'number') yield since + node.ms
    return yield* absenceDeadlines(node.of, progress)
  }
  for (const each of node.of) yield* absenceDeadlines(each, progress)
}

/** The captured data by name. Of alternatives, only those that hold count. */
export function captures(node: PatternNode, progress: PatternProgress): Record<string, unknown> {
  if (node.kind === 'absent') return {}
  if (node.kind === 'on' || node.kind === 'count') {
    const taken = progress.taken?.[node.leaf]
    if (node.on.as === undefined || !taken) return {}
    return { [node.on.as]: Array.isArray(taken) ? taken.map(({ data }) => data) : taken.data }
  }
  const of = node.kind === 'any' ? node.of.filter(each => patternState(each, progress) === 'holds') : node.of
  return Object.assign({}, ...of.map(each => captures(each, progress)))
}

function acceptedByLeaf(progress: PatternProgress, leaf: number): readonly ReceivedEvent[] {
  return (progress.taken?.[leaf] as ReceivedEvent[] | undefined) ?? []
}

const matchesEvent = ({ type, where }: OnPattern, event: ReceivedEvent, scope: Scope) =>
  type === event.type && (!where || holds(where, { ...scope, it: event.data }))
