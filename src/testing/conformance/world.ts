import type { Consumer, Delivery, Driver, DeliveryOutcome, Subscription } from '../../bus/driver.ts'
import { TidingsError } from '../../errors.ts'
import { TestClock } from '../clock.ts'

/** A log to test on. Every call of `fresh` makes one that is empty and shared with no other case. */
export interface TestLog {
  /** Opens one more member on this log, as another process would, which tells due times by this wall clock. */
  open(clock: TestClock): Promise<Driver>
  /** Called once, when every member is closed. */
  remove(): Promise<void>
  /** The broker of this log alone, if the case may stop it. */
  readonly broker?: BrokerControl
}

export interface BrokerControl {
  stop(): Promise<void>
  /** `empty`: as a broker that lost its data. */
  start(options: { readonly empty: boolean }): Promise<void>
}

/** Returns the outcome to settle with, or nothing: the case settles itself, or leaves the delivery unsettled. */
export type Handler = (delivery: Delivery) => DeliveryOutcome | undefined | Promise<DeliveryOutcome | undefined>

export interface Wish extends Partial<Omit<Subscription, 'onDelivery' | 'onWake' | 'onLost'>> {
  on?: Handler
  onWake?: (task: string, due: number) => void
}

/** A subscription that remembers what it received. */
export interface Member {
  readonly consumer: Consumer
  readonly deliveries: Delivery[]
  readonly wakes: { task: string; due: number; at: number }[]
  readonly lost: number[]
  /** The most deliveries that were in hand at once; one is no longer in hand when its settling begins. */
  mostInHand: number
}

/** The wish of a process that works the mailboxes of tasks. */
export const worker = { group: 'tasks', mode: 'sharded', filter: [{ types: ['task.input'] }] } satisfies Wish

/** A plain sentence, and what shows that it is true. */
export type Cases = Record<string, (world: World) => Promise<void>>

/** What a case works with: one log, its members, and the cleaning up. */
export class World {
  /** That of the machine on which all members run. */
  readonly clock = new TestClock()
  readonly #log: TestLog
  /** Ends the case: it does not apply to this driver. */
  readonly skip: (note: string) => never
  readonly #open = new Set<Driver>()
  readonly #failures: unknown[] = []

  constructor(log: TestLog, skip: (note: string) => never) {
    this.#log = log
    this.skip = skip
  }

  /** Opens one more member. */
  async open(): Promise<Driver> {
    const driver = await this.#log.open(this.clock)
    this.#open.add(driver)
    return driver
  }

  /** Opens a member that owns every shard of the tasks: the only one from which a driver must accept turns. */
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

  /** A restart of the process. */
  async reopen(driver: Driver): Promise<Driver> {
    await this.close(driver)
    return this.open()
  }

  async reopenOwner(driver: Driver): Promise<Driver> {
    await this.close(driver)
    return this.owner()
  }

  /** Subscribes; where nothing else is wished: group `jobs`, shared, `job.>`, from the beginning, 16 in flight. */
  async join(driver: Driver, { on, onWake, ...wish }: Wish = {}): Promise<Member> {
    const deliveries: Delivery[] = []
    const wakes: Member['wakes'] = []
    const lost: number[] = []
    let inHand = 0
    const handle = async (delivery: Delivery) => {
      member.mostInHand = Math.max(member.mostInHand, ++inHand)
      const outcome = await on?.(delivery)
      if (!outcome) return
      inHand--
      await delivery.settle(outcome)
    }
    const member = { deliveries, wakes, lost, mostInHand: 0 }
    const consumer = await driver.subscribe({
      group: 'jobs',
      filter: [{ types: ['job.>'] }],
      mode: 'shared',
      maxInFlight: 16,
      from: 'beginning',
      ...wish,
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

  /** Closes what is open and removes the log. @throws what a handler threw, unless only its bus was closed. */
  async end(): Promise<void> {
    for (const driver of this.#open) await driver.close()
    await this.#log.remove()
    for (const failure of this.#failures)
      if (!(failure instanceof TidingsError && failure.code === 'E_BUS_CLOSED')) throw failure
  }
}
