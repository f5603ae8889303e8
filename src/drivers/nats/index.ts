import { randomUUID } from 'node:crypto'
import type { Now } from '../../bus/clock.ts'
import type { Driver } from '../../bus/driver.ts'
import { parseAddress } from './address.ts'
import { NatsDriver } from './driver.ts'
import { openConnection } from './connect.ts'
import { provision } from './provision.ts'
import { Turns, type TurnsContext } from './turns.ts'

export interface NatsDriverOptions {
  /** `nats://USER:PASS@HOST:PORT/LOG?…`: docs/nats.md lists its options. */
  url: string
  /** Number of shards of a new log; an existing log keeps its own. */
  shards?: number
  /** A worker that does not renew its leases for this long loses its shards and deliveries. Default 10 s. */
  leaseMs?: number
  /** How long to try to open it, in ms. Default: the time limit of calls (`timeout` of the address, 10 s). */
  openTimeoutMs?: number
  /** For tests only: a wall clock that can be set. */
  clock?: { readonly now: Now }
}

/** Opens a log on NATS JetStream. @throws E_SETTING_INVALID, E_LOG_UNAVAILABLE, E_BUS_DENIED, E_BUS_VERSION */
export const openNats = (options: NatsDriverOptions): Promise<Driver> =>
  openWithTurns(options, context => new Turns(context))

/** `createTurns`: tests store turns with faults. */
export async function openWithTurns(
  options: NatsDriverOptions,
  createTurns: (context: TurnsContext) => Turns,
): Promise<Driver> {
  const { url, shards = 8, leaseMs = 10_000 } = options
  const now = options.clock?.now ?? Date.now
  const address = parseAddress(url)
  const timeoutMs = options.openTimeoutMs ?? address.timeoutMs ?? 10_000
  const until = performance.now() + timeoutMs
  const connection = await openConnection(address, timeoutMs)
  try {
    const log = await provision(connection, address.shards ?? shards, address.replicas ?? 1, until)
    return new NatsDriver(connection, log, { leaseMs, now, createTurns, newInbox: () => `_INBOX.${randomUUID()}` })
  } catch (error) {
    await connection.close()
    throw error
  }
}
