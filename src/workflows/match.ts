import type { OnPattern } from './definition.ts'
import type { Node } from './compile.ts'
import { holds, type Scope } from './evaluate.ts'

/*
 * How far a pattern is. An event takes one place, the first that is open for it; what has been taken stays taken, so the
 * cost of an event is that of the pattern, whatever came before.
 */

export interface Heard {
  readonly id: string
  readonly type: string
  readonly data: unknown
}

/** What of a pattern has come, by the numbers of its leaves and absences. */
export interface Progress {
  taken?: Record<number, Heard | Heard[]>
  /** ms since the epoch at which an absence began to count. */
  counted?: Record<number, number>
}

export type Verdict = 'open' | 'holds' | 'fails'

/** `due`: whether the time of absences may be judged now, which only a timer says. */
export function verdict(node: Node, progress: Progress, now: number, due: boolean): Verdict {
  switch (node.kind) {
    case 'on':
      return progress.taken?.[node.leaf] ? 'holds' : 'open'
    case 'count':
      return takenBy(progress, node.leaf).length >= node.times ? 'holds' : 'open'
    case 'absent': {
      const inner = verdict(node.of, progress, now, due)
      if (inner === 'holds') return 'fails'
      if (inner === 'fails') return 'holds'
      const since = progress.counted?.[node.absence]
      return due && since !== undefined && since + node.ms <= now ? 'holds' : 'open'
    }
    case 'seq': {
      for (const each of node.of) {
        const found = verdict(each, progress, now, due)
        if (found !== 'holds') return found
      }
      return 'holds'
    }
    case 'all': {
      const found = node.of.map(each => verdict(each, progress, now, due))
      if (found.includes('fails')) return 'fails'
      return found.includes('open') ? 'open' : 'holds'
    }
    case 'any': {
      const found = node.of.map(each => verdict(each, progress, now, due))
      if (found.includes('holds')) return 'holds'
      return found.includes('open') ? 'open' : 'fails'
    }
  }
}

/** Takes the event where a place is open for it. False when none is. */
export function take(node: Node, progress: Progress, event: Heard, scope: Scope, now: number): boolean {
  switch (node.kind) {
    case 'on':
      if (progress.taken?.[node.leaf] || !fits(node.on, event, scope)) return false
      ;(progress.taken ??= {})[node.leaf] = event
      return true
    case 'count': {
      const before = takenBy(progress, node.leaf)
      if (before.length >= node.times || !fits(node.on, event, scope)) return false
      // In the order of their ids, so that the order of arrival makes no difference.
      const after = [...before, event].sort((a, b) => (a.id < b.id ? -1 : 1))
      ;(progress.taken ??= {})[node.leaf] = after
      return true
    }
    case 'absent':
      return take(node.of, progress, event, scope, now)
    case 'seq': {
      const next = node.of.find(each => verdict(each, progress, now, false) !== 'holds')
      return next !== undefined && take(next, progress, event, scope, now)
    }
    case 'all':
    case 'any':
      return node.of.some(each => take(each, progress, event, scope, now))
  }
}

/** Lets the absences whose turn has come count from now. */
export function begin(node: Node, progress: Progress, now: number): void {
  if (node.kind === 'on' || node.kind === 'count') return
  if (node.kind === 'absent') {
    if (progress.counted?.[node.absence] === undefined) (progress.counted ??= {})[node.absence] = now
    return begin(node.of, progress, now)
  }
  for (const each of node.of) {
    begin(each, progress, now)
    if (node.kind === 'seq' && verdict(each, progress, now, false) !== 'holds') return
  }
}

/** The moments at which absences are over. */
export function* moments(node: Node, progress: Progress): Generator<number> {
  if (node.kind === 'on' || node.kind === 'count') return
  if (node.kind === 'absent') {
    const since = progress.counted?.[node.absence]
    if (since !== undefined) yield since + node.ms
    return yield* moments(node.of, progress)
  }
  for (const each of node.of) yield* moments(each, progress)
}

/** What the pattern keeps, by name. */
export function captures(node: Node, progress: Progress): Record<string, unknown> {
  if (node.kind === 'absent') return {}
  if (node.kind === 'on' || node.kind === 'count') {
    const taken = progress.taken?.[node.leaf]
    if (node.on.as === undefined || !taken) return {}
    return { [node.on.as]: Array.isArray(taken) ? taken.map(({ data }) => data) : taken.data }
  }
  return Object.assign({}, ...node.of.map(each => captures(each, progress)))
}

function takenBy(progress: Progress, leaf: number): readonly Heard[] {
  return (progress.taken?.[leaf] as Heard[] | undefined) ?? []
}

const fits = ({ type, where }: OnPattern, event: Heard, scope: Scope) =>
  type === event.type && (!where || holds(where, { ...scope, it: event.data }))
