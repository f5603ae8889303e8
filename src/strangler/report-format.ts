/** `2.1 %`, with as many digits as a small share needs. */
export function percentOf(share: number): string {
  const percent = share * 100
  const digits = percent !== 0 && Math.abs(percent) < 1 ? 2 : 1
  return `${percent.toFixed(digits)} %`
}

/** `4 ms`, `1.2 s`. */
export const latencyText = (ms: number): string =>
  ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
