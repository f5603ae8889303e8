/* The clock of the gateway, which wrote the times that ages are made of. That of the device may be wrong. */

/** What `Date` of HTTP, which has whole seconds, and a slow answer leave open. */
const tolerance = 2_000

let aheadMs = 0

/** Notes the time in an answer that has just arrived. */
export function noteServerTime({ headers }: Response): void {
  const ahead = Date.parse(headers.get('date') ?? '') - Date.now()
  if (Number.isFinite(ahead)) aheadMs = Math.abs(ahead) < tolerance ? 0 : ahead
}

/** Milliseconds since the epoch. */
export const serverNow = (): number => Date.now() + aheadMs
