import type { OnPattern } from './definition.ts'
import type { Node } from './compile.ts'
import { holds, type Scope } from './evaluate.ts'

/*
 * How far a pattern is. An event takes one place, the first that is open for it; what has been taken stays taken, and what
 * holds takes nothing more. So the cost of an event is that of the pattern, whatever came before.
 */

export interface Heard {
  readonly id: string
  readonly type: string
  readonly data: unknown
}

/** What of a pattern has come, by the numbers of its leaves and absences. */
export interface Progress {
  taken?: Record<number, Heard | Heard[]>
  /** ms since the epoch at which an absence began to count; null once it holds, whatever comes later. */
  counted?: Record<number, number | null>
}

export type Verdict = 'open' | 'holds' | 'fails'

export function verdict(node: Node, progress: Progress): Verdict {
  switch (node.kind) {
    case 'on':
      return progress.taken?.[node.leaf] ? 'holds' : 'open'
    case 'count':
      return takenBy(progress, node.leaf).length >= node.times ? 'holds' : 'open'
    case 'absent': {
      if (progress.counted?.[node.absence] === null) return 'holds'
      const inner = verdict(node.of, progress)
      return inner === 'open' ? 'open' : inner === 'holds' ? 'fails' : 'holds'
    }
    case 'seq': {
      for (const each of node.of) {
        const found = verdict(each, progress)
        if (found !== 'holds') return found
      }
      return 'holds'
    }
    case 'all': {
      const found = node.of.map(each => verdict(each, progress))
      if (found.includes('fails')) return 'fails'
      return found.includes('open') ? 'open' : 'holds'
    }
    case 'any': {
      const found = node.of.map(each => verdict(each, progress))
      if (found.includes('holds')) return 'holds'
      return found.includes('open') ? 'open' : 'fails'
    }
  }
}

/** Takes the event where a place is open for it. False when none is. */
export function take(node: Node, progress: Progress, event: Heard, scope: Scope): boolean {
  if (verdict(node, progress) !== 'open') return false
  switch (node.kind) {
    case 'on':
      if (!fits(node.on, event, scope)) return false
      ;(progress.taken ??= {})[node.leaf] = event
      return true
    case 'count': {
      if (!fits(node.on, event, scope)) return false
      // In the order of their ids, so that the order of arrival makes no difference.
      const after = [...takenBy(progress, node.leaf), event].sort((a, b) => (a.id < b.id ? -1 : 1))
      ;(progress.taken ??= {})[node.leaf] = after
      return true
    }
    case 'absent':
      return take(node.of, progress, event, scope)
    case 'seq':
      return take(node.of.find(each => verdict(each, progress) !== 'holds')!, progress, event, scope)
    case 'all':
    case 'any':
      return node.of.some(each => take(each, progress, event, scope))
  }
}

/** Whether a place may still open for the event. */
export function awaits(node: Node, progress: Progress, event: Heard, scope: Scope): boolean {
  if (verdict(node, progress) !== 'open') return false
  if (node.kind === 'on' || node.kind === 'count') return fits(node.on, event, scope)
  if (node.kind === 'absent') return awaits(node.of, progress, event, scope)
  return node.of.some(each => awaits(each, progress, event, scope))
}

/** The events that the pattern has taken. */
export const takenIn = ({ taken }: Progress): Heard[] => Object.values(taken ?? {}).flat()

/** Lets the absences whose turn has come count from now. */
export function begin(node: Node, progress: Progress, now: number): void {
  if (node.kind === 'on' || node.kind === 'count') return
  if (node.kind === 'absent') {
    if (progress.counted?.[node.absence] === undefined) (progress.counted ??= {})[node.absence] = now
    return begin(node.of, progress, now)
  }
  for (const each of node.of) {
    begin(each, progress, now)
    if (node.kind === 'seq' && verdict(each, progress) !== 'holds') return
  }
}

/** Lets absences hold whose time is over, which only a timer may say. False when there is none. */
export function judge(node: Node, progress: Progress, now: number): boolean {
  if (node.kind === 'on' || node.kind === 'count' || verdict(node, progress) !== 'open') return false
  if (node.kind !== 'absent') return node.of.filter(each => judge(each, progress, now)).length > 0
  if (judge(node.of, progress, now)) return true
  const since = progress.counted?.[node.absence]
  if (typeof since !== 'number' || since + node.ms > now) return false
  progress.counted![node.absence] = null
  return true
}

/** The moments at which absences are over. */
export function* moments(node: Node, progress: Progress): Generator<number> {
  if (node.kind === 'on' || node.kind === 'count' || verdict(node, progress) !== 'open') return
  if (node.kind === 'absent') {
    const since = progress.counted?.[node.absence]
    if (typeof since === 'number') yield since + node.ms
    return yield* moments(node.of, progress)
  }
  for (const each of node.of) yield* moments(each, progress)
}

/** What the pattern keeps, by name; of alternatives, what those keep that hold. */
export function captures(node: Node, progress: Progress): Record<string, unknown> {
  if (node.kind === 'absent') return {}
  if (node.kind === 'on' || node.kind === 'count') {
    const taken = progress.taken?.[node.leaf]
    if (node.on.as === undefined || !taken) return {}
    return { [node.on.as]: Array.isArray(taken) ? taken.map(({ data }) => data) : taken.data }
  }
  const of = node.kind === 'any' ? node.of.filter(each => verdict(each, progress) === 'holds') : node.of
  return Object.assign({}, ...of.map(each => captures(each, progress)))
}

function takenBy(progress: Progress, leaf: number): readonly Heard[] {
  return (progress.taken?.[leaf] as Heard[] | undefined) ?? []
}

const fits = ({ type, where }: OnPattern, event: Heard, scope: Scope) =>
  type === event.type && (!where || holds(where, { ...scope, it: event.data }))
