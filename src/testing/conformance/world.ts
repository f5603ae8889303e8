import type { Consumer, Delivery, Driver, DeliveryOutcome, Subscription } from '../../bus/driver.ts'
import { TidingsError } from '../../errors.ts'
import { TestClock } from '../clock.ts'

/** While you write a driver, only some parts of the contract exist: see `Conformance.parts`. */
export type DriverUnderTest = Partial<Driver> & Pick<Driver, 'close'>

/** The log of one case: empty at first, and used by no other case. */
export interface TestLog {
  /** Opens a member on this log, as another process would. Its wall clock is `clock`. */
  open(clock: TestClock): Promise<DriverUnderTest>
  /** Called once, after every member was closed. */
  remove(): Promise<void>
  /** The broker of this log alone, if the case may stop it. */
  readonly broker?: BrokerControl
}

/** Stops and starts the broker of one log. */
export interface BrokerControl {
  stop(): Promise<void>
  /** `empty`: like a broker that lost its data. */
  start(options: { readonly empty: boolean }): Promise<void>
}

/** Returns the outcome to settle with, or nothing: the case settles itself, or leaves the delivery unsettled. */
export type Handler = (delivery: Delivery) => DeliveryOutcome | undefined | Promise<DeliveryOutcome | undefined>

export interface MemberOptions extends Partial<Omit<Subscription, 'onDelivery' | 'onWake' | 'onLost'>> {
  on?: Handler
  onWake?: (task: string, due: number) => void
}

/** A subscription that records what it receives. */
export interface Member {
  readonly consumer: Consumer
  readonly deliveries: Delivery[]
  readonly wakes: { task: string; due: number; at: number }[]
  readonly lost: number[]
  /** Maximum number of deliveries in flight at once; a delivery is in flight until its settling begins. */
  maxInFlight: number
}

/** Options of a member that runs tasks. */
export const worker = { group: 'tasks', mode: 'sharded', filter: [{ types: ['task.input'] }] } satisfies MemberOptions

/** Cases by the sentence that each proves. */
export type Cases = Record<string, (world: World) => Promise<void>>

/** What a complete driver may leave out; `await` looks for `then`. */
const optional = new Set<string | symbol>([
  'blobs',
  'isReadOnly',
  'onEmptied',
  'problem',
  'transfer',
  'then',
] satisfies (keyof Driver | 'then')[])

/** A case uses a method or property that a driver under development does not have. */
export class MissingMember extends Error {}

/** Takes the place of a missing method. A case that calls it waits here until the suite skips it. */
const neverSettles = (): unknown =>
  Object.assign(new Promise(() => {}), { [Symbol.asyncIterator]: () => ({ next: neverSettles }) })

/** The resources of a case: one log and its members. Cleans up. */
export class World {
  /** The wall clock that all members share. */
  readonly clock = new TestClock()
  readonly #log: TestLog
  /** The driver may lack parts of the contract. */
  readonly #isPartial: boolean
  /** Ends the case: it does not apply to this driver. */
  readonly skip: (note: string) => never
  readonly #missing = Promise.withResolvers<never>()
  readonly #open = new Set<Driver>()
  readonly #failures: unknown[] = []

  constructor(log: TestLog, skip: (note: string) => never, isPartial: boolean) {
    this.#log = log
    this.skip = skip
    this.#isPartial = isPartial
  }

  /** Opens a member. */
  async open(): Promise<Driver> {
    const driver = this.#complete(await this.#log.open(this.clock))
    this.#open.add(driver)
    return driver
  }

  /** A driver whose case is skipped when it uses what the driver does not have yet. */
  #complete(driver: DriverUnderTest): Driver {
    if (!this.#isPartial) return driver as Driver
    return new Proxy(driver as Driver, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        if (value === undefined && !optional.has(name)) {
          this.#missing.reject(new MissingMember(`needs ${String(name)}`))
          return neverSettles
        }
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  /** Rejects when the case uses what a driver under development lacks. */
  get missing(): Promise<never> {
    return this.#missing.promise
  }

  /** Opens a member that owns every shard of tasks. Drivers must accept turns only from an owner. */
  async owner(): Promise<Driver> {
    const driver = await this.open()
    await this.join(driver, worker)
    return driver
  }

  get broker(): BrokerControl | undefined {
    return this.#log.broker
  }

  async close(driver: Driver): Promise<void> {
    this.#open.delete(driver)
    await driver.close()
  }

  /** Restarts the process. */
  async reopen(driver: Driver): Promise<Driver> {
    await this.close(driver)
    return this.open()
  }

  async reopenOwner(driver: Driver): Promise<Driver> {
    await this.close(driver)
    return this.owner()
  }

  /** Subscribes. Default: group `jobs`, shared, `job.>`, from the beginning, 16 in flight. */
  async join(driver: Driver, { on, onWake, ...options }: MemberOptions = {}): Promise<Member> {
    const deliveries: Delivery[] = []
    const wakes: Member['wakes'] = []
    const lost: number[] = []
    let inFlight = 0
    const handle = async (delivery: Delivery) => {
      member.maxInFlight = Math.max(member.maxInFlight, ++inFlight)
      const outcome = await on?.(delivery)
      if (!outcome) return
      inFlight--
      await delivery.settle(outcome)
    }
    const member = { deliveries, wakes, lost, maxInFlight: 0 }
    const consumer = await driver.subscribe({
      group: 'jobs',
      filter: [{ types: ['job.>'] }],
      mode: 'shared',
      maxInFlight: 16,
      from: 'beginning',
      ...options,
      onDelivery: delivery => {
        deliveries.push(delivery)
        handle(delivery).catch(error => this.#failures.push(error))
      },
      onWake: (task, due) => {
        wakes.push({ task, due, at: this.clock.now() })
        onWake?.(task, due)
      },
      onLost: shard => lost.push(shard),
    })
    return Object.assign(member, { consumer })
  }

  /** Closes all members and removes the log. @throws the error of a handler, except E_BUS_CLOSED */
  async end(): Promise<void> {
    for (const driver of this.#open) await driver.close()
    await this.#log.remove()
    for (const failure of this.#failures)
      if (!(failure instanceof TidingsError && failure.code === 'E_BUS_CLOSED')) throw failure
  }
}
