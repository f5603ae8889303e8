import { median } from './host.ts'

/**
 * The median and its 95 % interval, free of assumptions about the distribution: the order statistics of the widest rank k
 * with P(Binomial(n, ½) < k) ≤ 2.5 %. Source: David and Nagaraja, Order Statistics, section 7.1. Needs six values or more.
 */
export function medianInterval(values: readonly number[], digits = 2): string {
  const sorted = values.toSorted((a, b) => a - b)
  const n = sorted.length
  let rank = 0
  for (let below = 0.5 ** n, term = below; below <= 0.025; below += term) {
    rank++
    term *= (n - rank + 1) / rank
  }
  const show = (value: number) => value.toFixed(digits)
  const middle = n % 2 ? median(sorted) : (sorted[n / 2 - 1]! + sorted[n / 2]!) / 2
  if (rank === 0) return `${show(middle)} (too few for an interval)`
  return `${show(middle)} (${show(sorted[rank - 1]!)} to ${show(sorted[n - rank]!)})`
}
