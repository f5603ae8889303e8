/*
 * Everything that an author of a driver needs: docs/custom-driver.md. The conformance suite is `driverConformance` in
 * `tidings/testing/conformance`, which needs vitest and fast-check.
 */
export type * from './bus/driver.ts'
export { advance, beginning, coversAll, formatCursor, isCovered, offsetsOf, rewind, unionOf } from './bus/cursor.ts'
export { clockPollIntervalMs, ClockWatch, Stopwatch, type Now } from './bus/clock.ts'
export {
  cancelId,
  correlationOf,
  isCorrelation,
  isTaskDerivedId,
  mintedAt,
  parseId,
  partitionOf,
  resultId,
  shardOf,
  turnId,
  type DerivedId,
} from './bus/ids.ts'
export { reason, type Reason } from './bus/reason.ts'
export { eventFrom, readDelivery, type DeliverySource } from './bus/malformed.ts'
export { TimeSearch } from './bus/search-by-time.ts'
export { deferralOf, type Deferral } from './drivers/shared/deferral.ts'
export { DeliveryWindow } from './drivers/shared/delivery-window.ts'
export { followByReading, type FollowableLog } from './drivers/shared/follow.ts'
export { mergePartitions } from './drivers/shared/merge-partitions.ts'
export { OpenCalls } from './drivers/shared/open-calls.ts'
export { retentionHorizon, type HorizonInput, type LogHolder } from './drivers/shared/retention.ts'
export { balanceShards, spreadShards } from './drivers/shared/shards.ts'
export { errors, TidingsError, type ErrorCode } from './errors.ts'
export type { CloudEvent } from './event.ts'
export { compileFilter, matchesType, type Filter } from './pattern.ts'
export { openDriver, registerDriver, type DriverAddress, type OpenDriver } from './runtime/drivers.ts'
