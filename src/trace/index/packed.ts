import { maxPartitions } from '../../bus/cursor.ts'
import type { Position } from '../../bus/driver.ts'

/*
 * The index keys events by one integer: the offset times `maxPartitions`, plus the partition. The order is that of the log within a
 * partition. Across partitions it follows the offsets, which is about the order of time where partitions are filled evenly.
 * Room for offsets: 2^45.
 */

export const pack = ({ partition, offset }: Position): number => offset * maxPartitions + partition

export const unpack = (packed: number): Position => ({
  partition: packed % maxPartitions,
  offset: Math.floor(packed / maxPartitions),
})
