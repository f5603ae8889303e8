/** `; did you mean "x"?` for the nearest known name; empty if none is near. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const maxDistance = Math.max(1, Math.floor(name.length / 3))
  let best: string | undefined
  let least = maxDistance + 1
  for (const each of known) {
    const distance = each.toLowerCase() === name.toLowerCase() ? 0 : editDistance(name, each, least)
    if (distance < least) [best, least] = [each, distance]
  }
  return best === undefined ? '' : `; did you mean "${best}"?`
}

/** Levenshtein distance, but at most `max`. */
function editDistance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) >= max) return max
  let above = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++)
      row.push(Math.min(row[j - 1]! + 1, above[j]! + 1, above[j - 1]! + Number(a[i - 1] !== b[j - 1])))
    above = row
  }
  return above[b.length]!
}
