import { comparePositions } from '../bus/cursor.ts'
import type { Acceptance, AcceptedDivergences } from './accept.ts'
import { pathText, type Divergence } from './divergence.ts'

/** Divergences with one signature, either all accepted or all not accepted, in log order. */
export interface Cluster extends Acceptance {
  readonly signature: string
  /** What differs, on one line. */
  readonly title: string
  readonly divergences: readonly [Divergence, ...Divergence[]]
}

/** Largest cluster first, then by log order. */
export function clusterDivergences(divergences: readonly Divergence[], accepted: AcceptedDivergences): Cluster[] {
  const alike = Map.groupBy(divergences, each => `${each.signature} ${accepted.accepts(each)}`)
  return [...alike.values()]
    .map(found => ({
      signature: found[0]!.signature,
      title: titleOf(found[0]!),
      divergences: found as [Divergence, ...Divergence[]],
      ...accepted.check(found[0]!),
    }))
    .toSorted(
      (a, b) =>
        b.divergences.length - a.divergences.length ||
        comparePositions(a.divergences[0].position, b.divergences[0].position),
    )
}

/** `desk: tool.invoke web.search changed at data.input.q` */
export function titleOf({ program, kind, what, changes, error }: Divergence): string {
  const paths = [...new Set(changes.map(({ path }) => pathText(path)))]
  const where = paths.length > 0 ? ` at ${paths.slice(0, 3).join(', ')}${paths.length > 3 ? ', …' : ''}` : ''
  const verb = kind === 'state' ? 'changed' : kind
  return `${program}: ${what} ${verb}${where}${error === undefined ? '' : `: ${error}`}`
}
