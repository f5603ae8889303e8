import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import type { Cursor, Durability, GroupState } from '../bus/driver.ts'
import { type ErrorData, errorData, TidingsError } from '../errors.ts'
import { manifest } from '../manifest.ts'

const { version } = manifest

const probeKey = 'gateway/health'
const cacheTtlMs = 1_000
const timeoutMs = 5_000

export type Health = { bus: string; version: string } & (
  | { status: 'ok'; durability: Durability; head: Cursor; groups: GroupState[]; warning?: string }
  | Unhealthy
)

interface Unhealthy {
  status: 'unavailable'
  error: ErrorData
}

export const unhealthy = (bus: string, error: unknown): Health & Unhealthy => ({
  status: 'unavailable',
  bus,
  version,
  error: errorData(error, 'E_LOG_UNAVAILABLE'),
})

/** For people, after the broker lost its data, or that of some partitions. */
export function logReplacedWarning(at: Date, partitions?: readonly number[]): string {
  if (!partitions) return `The broker lost its data and came back at ${at.toISOString()}; a new, empty log was created.`
  const lost = partitions.length === 0 ? 'the state' : `partition ${partitions.join(', ')}`
  return `The broker lost its data of ${lost} of the log; at ${at.toISOString()} that was created again, empty. Events and tasks in it are gone.`
}

/** Writes to the log and reads from it to find out whether it works, at most once a second. */
export class HealthCheck {
  readonly #bus: Bus
  #warning: string | undefined
  #last: { at: number; health: Promise<Health> } | undefined

  constructor(bus: Bus) {
    this.#bus = bus
    bus.onEmptied(partitions => (this.#warning = logReplacedWarning(new Date(), partitions)))
  }

  check(): Promise<Health> {
    const now = Date.now()
    if (!this.#last || now - this.#last.at >= cacheTtlMs) this.#last = { at: now, health: this.#probeWithTimeout() }
    return this.#last.health
  }

  async #probeWithTimeout(): Promise<Health> {
    const bus = this.#bus
    try {
      if (bus.problem) throw bus.problem
      const probed = await Promise.race([this.#probe(), timeout()])
      return { status: 'ok', bus: bus.name, version, ...probed, ...(this.#warning && { warning: this.#warning }) }
    } catch (error) {
      return unhealthy(bus.name, bus.problem ?? error)
    }
  }

  async #probe() {
    const bus = this.#bus
    const { revision } = await bus.documents.readRevision(probeKey)
    await bus.documents.writeText(probeKey, JSON.stringify(Date.now()), revision)
    const [durability, head, groups] = await Promise.all([bus.durability(), bus.head(), bus.listGroups()])
    return { durability, head, groups }
  }
}

async function timeout(): Promise<never> {
  await setTimeout(timeoutMs, undefined, { ref: false })
  throw new TidingsError('E_LOG_UNAVAILABLE', `the log did not answer within ${timeoutMs} ms`, { retryable: true })
}
