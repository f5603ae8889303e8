/*
 * Latencies of many requests in a few numbers: counts by bucket, where each bucket ends 10 % above the one before. Histograms of several processes
 * and seconds add up, and a quantile is at most 10 % too high.
 */

const base = Math.log(1.1)

/** Counts by the number of their bucket. */
export type LatencyHistogram = Record<string, number>

export function addLatency(histogram: LatencyHistogram, ms: number): void {
  const bucket = Math.ceil(Math.log(Math.max(1, ms)) / base)
  histogram[bucket] = (histogram[bucket] ?? 0) + 1
}

/** The latency in ms that this share of all has not exceeded; undefined without any. `slower`: how many more there were that took longer than all. */
export function quantile(histograms: readonly LatencyHistogram[], share: number, slower = 0): number | undefined {
  const counts = new Map<number, number>()
  for (const histogram of histograms)
    for (const [bucket, count] of Object.entries(histogram))
      counts.set(Number(bucket), (counts.get(Number(bucket)) ?? 0) + count)
  const total = counts.values().reduce((sum, count) => sum + count, slower)
  if (total === 0) return undefined
  let seen = 0
  for (const [bucket, count] of [...counts].toSorted(([a], [b]) => a - b)) {
    seen += count
    if (seen >= share * total) return Math.exp(bucket * base)
  }
  return Infinity
}
