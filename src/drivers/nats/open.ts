import { randomUUID } from 'node:crypto'
import type { Now } from '../../bus/clock.ts'
import { maxPartitions } from '../../bus/cursor.ts'
import type { Driver } from '../../bus/driver.ts'
import { TidingsError } from '../../errors.ts'
import { parseAddress } from './address.ts'
import { NatsDriver } from './driver.ts'
import { openConnection } from './connect.ts'
import { type LogSettings, provision } from './provision.ts'
import type { Turns, TurnsContext } from './turns.ts'

/** Which NATS server and log, and what a new log is like. */
export interface NatsDriverOptions {
  /** `nats://USER:PASS@HOST:PORT/LOG?…`: docs/nats.md lists its options. */
  url: string
  /** Number of shards of a new log; an existing log keeps its own. */
  shards?: number
  /** Number of partitions of a new log; an existing log must have as many. Default 1. */
  partitions?: number
  /** A worker that does not renew its leases for this long loses its shards and deliveries. Default 10 s. */
  leaseMs?: number
  /** How long to try to open it, in ms. Default: the time limit of calls (`timeout` of the address, 10 s). */
  openTimeoutMs?: number
  /** For tests only: a wall clock that can be set. */
  clock?: { readonly now: Now }
}

/** `createTurns`: tests store turns with faults. @throws E_SETTING_INVALID, E_LOG_UNAVAILABLE, E_BUS_DENIED, E_BUS_VERSION */
export async function openWithTurns(
  options: NatsDriverOptions,
  createTurns: (context: TurnsContext) => Turns,
): Promise<Driver> {
  const { url, leaseMs = 10_000 } = options
  const now = options.clock?.now ?? Date.now
  const address = parseAddress(url)
  const settings = {
    shards: address.shards ?? options.shards ?? 8,
    partitions: address.partitions ?? options.partitions,
    replicas: address.replicas ?? 1,
  }
  assertPartitions(settings)
  const timeoutMs = options.openTimeoutMs ?? address.timeoutMs ?? 10_000
  const until = performance.now() + timeoutMs
  const connection = await openConnection(address, timeoutMs)
  try {
    const log = await provision(connection, settings, until)
    return new NatsDriver(connection, log, { leaseMs, now, createTurns, newInbox: () => `_INBOX.${randomUUID()}` })
  } catch (error) {
    await connection.close()
    throw error
  }
}

function assertPartitions({ partitions = 1, shards }: LogSettings): void {
  if (partitions > Math.min(shards, maxPartitions))
    throw new TidingsError(
      'E_SETTING_INVALID',
      `TIDINGS_BUS: partitions=${partitions} is more than the ${shards} shards of the log, or than ${maxPartitions}. Each partition stores at least one shard`,
    )
}
