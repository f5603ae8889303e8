import { pathText } from './text.ts'
import type { Divergence } from './divergence.ts'

/** Divergences that look alike, in the order of the log. */
export interface Cluster {
  readonly signature: string
  /** One line that says what differs. */
  readonly title: string
  readonly divergences: readonly [Divergence, ...Divergence[]]
  readonly accepted: boolean
}

/** Largest first; of equal size the one that comes first in the log. */
export function clusters(divergences: readonly Divergence[], accepted: ReadonlySet<string>): Cluster[] {
  const bySignature = Map.groupBy(divergences, ({ signature }) => signature)
  return [...bySignature]
    .map(([signature, alike]) => ({
      signature,
      title: titleOf(alike[0]!),
      divergences: alike as [Divergence, ...Divergence[]],
      accepted: accepted.has(signature),
    }))
    .toSorted(
      (a, b) => b.divergences.length - a.divergences.length || a.divergences[0].position - b.divergences[0].position,
    )
}

/** `desk: tool.invoke web.search changed at data.input.q` */
export function titleOf({ program, kind, what, changes, error }: Divergence): string {
  const paths = [...new Set(changes.map(({ path }) => pathText(path)))]
  const where = paths.length > 0 ? ` at ${paths.slice(0, 3).join(', ')}${paths.length > 3 ? ', …' : ''}` : ''
  const verb = kind === 'state' ? 'changed' : kind
  return `${program}: ${what} ${verb}${where}${error === undefined ? '' : `: ${error}`}`
}
