import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { mintedAt, shardOf } from '../bus/ids.ts'
import { readNewestTurns } from './newest-turns.ts'
import type { TurnBuilder } from './turn.ts'

/*
 * What one correlation spends over all its tasks. Each turn records the total of its task, so a correlation has spent the sum over
 * the newest turns of its tasks. Only accepted turns count, also after a crash. All tasks of a correlation belong to one shard,
 * so the owner of the shard keeps the sum in memory:
 *
 *     decided ─▶ reserved ─┬─ accepted ─▶ spent
 *                          └─ conflict, or result unknown ─▶ the sum is read from the log before the next turn
 */

/** The most that one correlation may spend over all its tasks. */
export interface Budget {
  /** Calls of tools, models, agents and people, timers, and the rounds of `continueAs`. */
  calls: number
  /** Events that tasks emit, including calls. An event that is forwarded to keyed workflow instances counts once more for each. */
  events: number
  /** The data of those events, as JSON. */
  bytes: number
  /** Input and output tokens of models. Known only with the answer, so open calls may exceed it. */
  tokens: number
  /** In the currency of the models' prices. Known only with the answer, like tokens. */
  cost: number
}

export type Spending = Budget

/**
 * 1,000 calls are more than a request needs and less than an endless loop makes in a night. Ten events and 256 KiB per call leave room
 * for intended fan-outs and stop an endless loop of events within seconds.
 */
export const defaultBudget: Budget = {
  calls: 1_000,
  events: 10_000,
  bytes: 256 * 1024 * 1024,
  tokens: Infinity,
  cost: Infinity,
}

const kinds = ['calls', 'events', 'bytes', 'tokens', 'cost'] as const

export const noSpending: Spending = { calls: 0, events: 0, bytes: 0, tokens: 0, cost: 0 }

export const addSpending = (a: Spending, b: Partial<Spending>): Spending => ({
  calls: a.calls + (b.calls ?? 0),
  events: a.events + (b.events ?? 0),
  bytes: a.bytes + (b.bytes ?? 0),
  tokens: a.tokens + (b.tokens ?? 0),
  cost: a.cost + (b.cost ?? 0),
})

/** In the form of a turn: without tokens and cost if there are none. */
export const recordedSpending = ({ calls, events, bytes, tokens, cost }: Spending): Partial<Spending> => ({
  calls,
  events,
  bytes,
  ...(tokens > 0 && { tokens }),
  ...(cost > 0 && { cost }),
})

/**
 * What a turn spends by its emitted events and by the answers among its inputs. `routed`: the number of copies for keyed workflows.
 * The first turn reserves the event that ends the task, and cancellations are free, so that every task can end.
 */
export function spendingOfTurn(builder: TurnBuilder, inputs: readonly CloudEvent[], routed: number): Spending {
  const spent = {
    calls: builder.calls.length + (builder.end === 'continued' ? 1 : 0),
    events: builder.emitted + routed + (builder.version === 1 ? 1 : 0),
    bytes: builder.bytes,
    tokens: 0,
    cost: 0,
  }
  for (const { type, data } of inputs) {
    if (type !== 'model.result') continue
    const { usage, cost } = data as { usage?: { input?: number; output?: number }; cost?: number }
    spent.tokens += (usage?.input ?? 0) + (usage?.output ?? 0)
    spent.cost += cost ?? 0
  }
  return spent
}

const maxAccounts = 10_000

/** What one correlation has spent, as far as the owner of its shard knows. */
class Account {
  total = { ...noSpending }
  isKnown: boolean
  /** Number of turns that reserved something, and of those whose result is still unknown. */
  begun = 0
  underWay = 0
  reading: Promise<void> | undefined
  onIdle: (() => void) | undefined

  constructor(isKnown: boolean) {
    this.isKnown = isKnown
  }
}

/** What one turn reserves. It counts as spent once the turn is accepted. */
export class Charge implements Disposable {
  readonly #account: Account
  readonly #budget: Budget
  readonly #read: () => Promise<void>
  #spent = noSpending
  #isUnderWay = false
  #isCommitting = false

  constructor(account: Account, budget: Budget, read: () => Promise<void>) {
    this.#account = account
    this.#budget = budget
    this.#read = read
  }

  /** Replaces what this turn reserved before. */
  reserve(spent: Spending): void {
    const account = this.#account
    if (!this.#isUnderWay) {
      this.#isUnderWay = true
      account.begun++
      account.underWay++
    }
    for (const kind of kinds) account.total[kind] += spent[kind] - this.#spent[kind]
    this.#spent = spent
  }

  /** Reserves. Returns a description of the first limit that is exceeded. */
  async tryReserve(spent: Spending): Promise<string | undefined> {
    while (!this.#account.isKnown) await this.#read()
    this.reserve(spent)
    const { total } = this.#account
    const budget = this.#budget
    for (const kind of ['calls', 'events', 'bytes'] as const)
      if (total[kind] > budget[kind])
        return `the correlation has spent ${total[kind] - spent[kind]} of ${budget[kind]} ${kind}, and this turn needs ${spent[kind]} more`
    if (spent.calls === 0) return undefined
    for (const kind of ['tokens', 'cost'] as const)
      if (total[kind] >= budget[kind]) return `the correlation has spent ${total[kind]} of ${budget[kind]} ${kind}`
    return undefined
  }

  /** The commit has started: from now on only the log knows whether the turn is accepted. */
  committing(): void {
    this.#isCommitting = true
  }

  accepted(): void {
    this.#end()
  }

  /** Releases what a turn reserved that was not accepted. */
  [Symbol.dispose](): void {
    if (!this.#isUnderWay) return
    if (this.#isCommitting) this.#account.isKnown = false
    else this.reserve(noSpending)
    this.#end()
  }

  #end() {
    if (!this.#isUnderWay) return
    this.#isUnderWay = false
    if (--this.#account.underWay === 0) this.#account.onIdle?.()
  }
}

/** The accounts of the correlations whose shards this process owns. */
export class BudgetLedger {
  readonly #bus: Bus
  readonly #budget: Budget
  readonly #accounts = new Map<string, Account>()
  /** By shard, the time (ms since the epoch) after which no other process can have spent anything. */
  readonly #ownedSince = new Map<number, number>()
  /** When the newest correlation was created whose account was evicted. */
  #droppedUpTo = 0

  constructor(bus: Bus, budget: Budget) {
    this.#bus = bus
    this.#budget = budget
  }

  /** `isFirst`: by its delivery, this is the first event of its correlation. */
  charge(correlation: string, isFirst: boolean): Charge {
    let account = this.#accounts.get(correlation)
    if (!account) {
      if (this.#accounts.size >= maxAccounts) this.#evictOne()
      const isYoung = this.#isYoung(correlation)
      this.#accounts.set(correlation, (account = new Account(isFirst && isYoung)))
    }
    const opened = account
    return new Charge(opened, this.#budget, () => (opened.reading ??= this.#read(correlation, opened)))
  }

  forget(shard: number) {
    this.#ownedSince.delete(shard)
    for (const correlation of this.#accounts.keys())
      if (this.#shardOf(correlation) === shard) this.#accounts.delete(correlation)
  }

  /** Whether a correlation is too young to have spent anything in another process or under an evicted account. */
  #isYoung(correlation: string): boolean {
    const shard = this.#shardOf(correlation)
    const since = this.#ownedSince.get(shard)
    if (since === undefined) this.#ownedSince.set(shard, Date.now())
    return (mintedAt(correlation) ?? 0) > Math.max(since ?? Infinity, this.#droppedUpTo)
  }

  #shardOf(correlation: string): number {
    return shardOf(correlation, this.#bus.shards)
  }

  /** Waits until no turn is being committed, because the log may or may not include what such a turn spends. */
  async #read(correlation: string, account: Account): Promise<void> {
    try {
      for (;;) {
        if (account.underWay > 0) await new Promise<void>(resolve => (account.onIdle = resolve))
        const { begun } = account
        let total = noSpending
        for (const { spent = {} } of (await readNewestTurns(this.#bus, correlation)).values())
          total = addSpending(total, spent)
        if (account.begun !== begun) continue
        account.total = { ...total }
        account.isKnown = true
        return
      }
    } finally {
      account.onIdle = undefined
      account.reading = undefined
    }
  }

  #evictOne() {
    for (const [correlation, { underWay, reading }] of this.#accounts)
      if (underWay === 0 && !reading) {
        this.#droppedUpTo = Math.max(this.#droppedUpTo, mintedAt(correlation) ?? 0)
        this.#accounts.delete(correlation)
        return
      }
  }
}
