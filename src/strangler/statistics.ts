/*
 * The statistics of a parity report. A request that was answered three times (old, old once more, candidate) is a triple. While the candidate
 * behaves as `old` does, its answer and the repeated one come from the same distribution, whatever the request. So among the requests in which
 * exactly one of the two differs from the first answer, each is the odd one with probability 1/2. This is McNemar's exact test. It assumes nothing
 * about how noisy a field is, and nothing about how requests differ from each other.
 */

const logFactorials = [0]

/** The natural logarithm of n!. */
function logFactorial(n: number): number {
  for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1]! + Math.log(i))
  return logFactorials[n]!
}

/** The probability of at least `k` successes in `n` trials. */
export function binomialTail(k: number, n: number, probability: number): number {
  if (k <= 0) return 1
  if (k > n || probability <= 0) return 0
  if (probability >= 1) return 1
  const [win, lose] = [Math.log(probability), Math.log1p(-probability)]
  let sum = 0
  for (let i = k; i <= n; i++)
    sum += Math.exp(logFactorial(n) - logFactorial(i) - logFactorial(n - i) + i * win + (n - i) * lose)
  return Math.min(1, sum)
}

/** One-sided: how likely the candidate is the odd one at least this often, if it behaves as `old` does. */
export const signTest = (onlyCandidate: number, onlyRepeat: number): number =>
  binomialTail(onlyCandidate, onlyCandidate + onlyRepeat, 0.5)

/**
 * Adjusts the p-values of several fields, so that a report with many fields has no more false alarms than one with a single field. Source: S. Holm,
 * A Simple Sequentially Rejective Multiple Test Procedure, 1979. Valid however the fields depend on each other.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).toSorted((a, b) => pValues[a]! - pValues[b]!)
  const adjusted = Array.from(pValues, () => 1)
  let highest = 0
  for (const [rank, i] of order.entries()) {
    highest = Math.max(highest, Math.min(1, pValues[i]! * (pValues.length - rank)))
    adjusted[i] = highest
  }
  return adjusted
}

/** An interval of proportions, or of their differences. */
export interface Interval {
  readonly low: number
  readonly high: number
}

const z95 = 1.959964

/** 95 % of a proportion. Source: E. B. Wilson, 1927. */
export function wilson(count: number, n: number): Interval {
  if (n === 0) return { low: 0, high: 1 }
  const rate = count / n
  const z2 = z95 ** 2
  const centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
  const half = (z95 / (1 + z2 / n)) * Math.sqrt((rate * (1 - rate)) / n + z2 / (4 * n ** 2))
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) }
}

/** 95 % of the difference of two proportions of the same requests. Source: D. G. Bonett and R. M. Price, 2012. */
export function pairedDifference(onlyFirst: number, onlySecond: number, n: number): Interval {
  const first = (onlyFirst + 1) / (n + 2)
  const second = (onlySecond + 1) / (n + 2)
  const difference = first - second
  const half = z95 * Math.sqrt((first + second - difference ** 2) / (n + 2))
  return { low: Math.max(-1, difference - half), high: Math.min(1, difference + half) }
}

/** How often a candidate must be the odd one, and the repetition never, for a finding among `fields` fields. */
const countForFinding = (fields: number, alpha: number): number => Math.ceil(Math.log2(Math.max(1, fields) / alpha))

/** The smallest rate of differences, in a field without noise, that `triples` triples show four times out of five. */
export function detectableRate(triples: number, fields: number, alpha: number): number | undefined {
  const needed = countForFinding(fields, alpha)
  if (needed > triples) return undefined
  let [low, high] = [0, 1]
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2
    if (binomialTail(needed, triples, middle) >= 0.8) high = middle
    else low = middle
  }
  return high
}
