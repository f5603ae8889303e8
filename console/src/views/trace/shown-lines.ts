import type { TraceLine } from '../../trace/trace-lines.ts'

export interface LineFilter {
  readonly text: string
  readonly failed: boolean
}

export interface ShownLine {
  readonly line: TraceLine
  /** Whether it is shown only because a line below it matches. */
  readonly isContext: boolean
}

const failures: ReadonlySet<unknown> = new Set(['failed', 'expired'])
export const isFailed = ({ status }: TraceLine): boolean => failures.has(status)

/** The lines to show: those that match with all above them, without what is below a collapsed line. */
export function shownLines(
  lines: readonly TraceLine[],
  order: Uint32Array,
  collapsed: ReadonlySet<number>,
  filter: LineFilter,
): ShownLine[] {
  const kept = isFiltering(filter) ? matching(lines, order, filter) : undefined
  const shown: ShownLine[] = []
  let hiddenBelow = Infinity
  for (const n of order) {
    const line = lines[n]
    if (!line || line.depth > hiddenBelow) continue
    hiddenBelow = Infinity
    if (kept && !kept.has(n)) continue
    shown.push({ line, isContext: kept?.get(n) === false })
    if (collapsed.has(n)) hiddenBelow = line.depth
  }
  return shown
}

export const isFiltering = ({ text, failed }: LineFilter): boolean => failed || text !== ''

/** The lines that match, and with `false` those above them. */
function matching(lines: readonly TraceLine[], order: Uint32Array, { text, failed }: LineFilter): Map<number, boolean> {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const kept = new Map<number, boolean>()
  for (const n of order) {
    const line = lines[n]
    if (!line || (failed && !isFailed(line)) || !hasWords(line, words)) continue
    kept.set(n, true)
    for (let up = line.parent; up !== undefined && !kept.has(up); up = lines[up]?.parent) kept.set(up, false)
  }
  return kept
}

function hasWords({ label, name, note, problem, event, tags }: TraceLine, words: readonly string[]): boolean {
  if (words.length === 0) return true
  const text = [label, name, note, problem, event, ...tags].join(' ').toLowerCase()
  return words.every(word => text.includes(word))
}
