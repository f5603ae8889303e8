/*
 * Everything that an author of a driver needs: docs/custom-driver.md. The conformance suite is `driverConformance` in
 * `tidings/testing`, which needs vitest and fast-check.
 */
export type * from './bus/driver.ts'
export { clockPollIntervalMs, ClockWatch, Stopwatch, type Now } from './bus/clock.ts'
export {
  cancelId,
  correlationOf,
  isCorrelation,
  isTaskDerivedId,
  mintedAt,
  parseId,
  resultId,
  shardOf,
  turnId,
  type DerivedId,
} from './bus/ids.ts'
export { eventFrom, readDelivery, type DeliverySource } from './bus/malformed.ts'
export { errors, TidingsError, type ErrorCode } from './errors.ts'
export type { CloudEvent } from './event.ts'
export { compileFilter, matchesType, type Filter } from './pattern.ts'
export { openDriver, registerDriver, type DriverAddress, type OpenDriver } from './runtime/drivers.ts'
