import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import type { Durability, GroupState, Position } from '../bus/driver.ts'
import { type ErrorData, errorData, TidingsError } from '../errors.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const probeKey = 'gateway/health'
const freshMs = 1_000
const patienceMs = 5_000

export type Health = { bus: string; version: string } & (
  | { status: 'ok'; durability: Durability; head: Position; groups: GroupState[] }
  | { status: 'unavailable'; error: ErrorData }
)

/** Whether the log can be written and read. It is found out by writing and reading it, at most once a second. */
export class HealthCheck {
  readonly #bus: Bus
  #last: { at: number; health: Promise<Health> } | undefined

  constructor(bus: Bus) {
    this.#bus = bus
  }

  check(): Promise<Health> {
    const now = Date.now()
    if (!this.#last || now - this.#last.at >= freshMs) this.#last = { at: now, health: this.#find() }
    return this.#last.health
  }

  async #find(): Promise<Health> {
    const about = { bus: this.#bus.driver.name, version }
    try {
      return { status: 'ok', ...about, ...(await Promise.race([this.#probe(), tooLong()])) }
    } catch (error) {
      return { status: 'unavailable', ...about, error: errorData(error, 'E_LOG_UNAVAILABLE') }
    }
  }

  async #probe() {
    const { driver } = this.#bus
    const revision = (await driver.getDocument(probeKey))?.revision ?? 0
    await driver.putDocument(probeKey, JSON.stringify(Date.now()), revision)
    const [durability, head, groups] = await Promise.all([driver.durability(), driver.head(), driver.groups()])
    return { durability, head, groups }
  }
}

async function tooLong(): Promise<never> {
  await setTimeout(patienceMs, undefined, { ref: false })
  throw new TidingsError('E_LOG_UNAVAILABLE', `the log did not answer within ${patienceMs} ms`, { retryable: true })
}
