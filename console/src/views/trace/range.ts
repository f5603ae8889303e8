/** A part of a trace, in ms since its beginning. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** The range in a URL; undefined for the whole trace. */
export function rangeIn(text: string | undefined): Range | undefined {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(text ?? '') ?? []
  return from !== undefined && Number(to) > Number(from) ? { from: Number(from), to: Number(to) } : undefined
}

export const rangeText = ({ from, to }: Range): string => `${Math.floor(Math.max(0, from))}-${Math.ceil(to)}`

const marginShare = 0.08
const minMarginMs = 5

/** A period with some time before and after it. */
export function rangeAround({ from, to }: Range): Range {
  const margin = Math.max(minMarginMs, marginShare * (to - from))
  return { from: from - margin, to: to + margin }
}
