import { randomUUID } from 'node:crypto'
import type { Now } from '../../bus/clock.ts'
import type { Driver } from '../../bus/driver.ts'
import { parseAddress } from './address.ts'
import { NatsDriver } from './driver.ts'
import { connectLink } from './connect.ts'
import { provision } from './provision.ts'
import type { TurnFaults } from './turns.ts'

export type { TurnFaults } from './turns.ts'

export interface NatsOptions {
  /** `nats://USER:PASS@HOST:PORT/LOG?…`: docs/nats.md lists what may stand in it. */
  url: string
  /** Number of shards of a new log; an existing log keeps its own. */
  shards?: number
  /** After this long without a sign of life a worker loses its shards and what it has in hand. Default 10 s. */
  leaseMs?: number
  /** How long to try to open it, in ms. Default: the time limit of calls (`timeout` of the address, 10 s). */
  patienceMs?: number
  /** For tests only: a wall clock that can be set. */
  clock?: { readonly now: Now }
  /** For tests only. */
  faults?: TurnFaults
}

/** Opens a log on NATS JetStream. @throws E_SETTING_INVALID, E_LOG_UNAVAILABLE, E_BUS_DENIED, E_BUS_VERSION */
export async function openNats(options: NatsOptions): Promise<Driver> {
  const { url, shards = 8, leaseMs = 10_000, faults = {} } = options
  const now = options.clock?.now ?? Date.now
  const address = parseAddress(url)
  const patienceMs = options.patienceMs ?? address.timeoutMs ?? 10_000
  const until = performance.now() + patienceMs
  const link = await connectLink(address, patienceMs)
  try {
    const log = await provision(link, address.shards ?? shards, address.replicas ?? 1, until)
    return new NatsDriver(link, log, { leaseMs, now, faults, newInbox: () => `_INBOX.${randomUUID()}` })
  } catch (error) {
    await link.close()
    throw error
  }
}
