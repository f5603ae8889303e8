import { maxPartitions } from '../../bus/cursor.ts'
import type { Position } from '../../bus/driver.ts'

/*
 * The index keys events by one integer: the partition times 2^45, plus the offset. So the events of a partition are a range of keys in
 * the order of the log, and on one partition the key is the offset.
 */

const maxOffsets = 2 ** 53 / maxPartitions

export const pack = ({ partition, offset }: Position): number => partition * maxOffsets + offset

export const unpack = (packed: number): Position => ({
  partition: Math.floor(packed / maxOffsets),
  offset: packed % maxOffsets,
})

/** The keys of a partition are above `low`, and `high` is the last one. */
export const keysOf = (partition: number): { readonly low: number; readonly high: number } => ({
  low: partition * maxOffsets,
  high: (partition + 1) * maxOffsets - 1,
})
