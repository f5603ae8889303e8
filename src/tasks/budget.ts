import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'

/** Bounds on everything that one correlation may spend, over all its tasks. */
export interface Budget {
  /** Calls of tools, models and agents. */
  calls: number
  /** Input and output tokens of models. */
  tokens: number
  /** In the currency of the models' prices. */
  cost: number
}

export interface Spent {
  calls: number
  tokens: number
  cost: number
}

const remembered = 10_000
const savedEvery = 32

/**
 * Counts what each correlation has spent. All tasks of a correlation live in one shard, hence in one process; the count
 * is saved every 32 calls, so that a crash forgives at most that many.
 */
export class Ledger {
  readonly #bus: Bus
  readonly #group: string
  readonly #budget: Budget
  readonly #accounts = new Map<string, { spent: Spent; saved: number; revision: number }>()

  constructor(bus: Bus, group: string, budget: Budget) {
    this.#bus = bus
    this.#group = group
    this.#budget = budget
  }

  /** The first limit that these further calls would break, for people; undefined when there is room. */
  async refuses(correlation: string, calls: number): Promise<string | undefined> {
    if (calls === 0) return undefined
    const { spent } = await this.#account(correlation)
    const budget = this.#budget
    if (spent.calls + calls > budget.calls) return `${spent.calls} of ${budget.calls} calls are spent`
    if (spent.tokens >= budget.tokens) return `${spent.tokens} of ${budget.tokens} tokens are spent`
    if (spent.cost >= budget.cost) return `${spent.cost} of ${budget.cost} is spent`
    return undefined
  }

  /** Books an accepted turn. */
  async book(correlation: string, calls: number, inputs: readonly CloudEvent[]): Promise<void> {
    const account = await this.#account(correlation)
    const { spent } = account
    spent.calls += calls
    for (const input of inputs) {
      if (input.type !== 'model.result') continue
      const { usage, cost } = input.data as { usage?: { input?: number; output?: number }; cost?: number }
      spent.tokens += (usage?.input ?? 0) + (usage?.output ?? 0)
      spent.cost += cost ?? 0
    }
    if (spent.calls - account.saved < savedEvery) return
    account.saved = spent.calls
    const saved = await this.#bus.driver.putDocument(this.#key(correlation), JSON.stringify(spent), account.revision)
    if (saved) account.revision++
    else this.#accounts.delete(correlation)
  }

  forget() {
    this.#accounts.clear()
  }

  async #account(correlation: string) {
    let account = this.#accounts.get(correlation)
    if (!account) {
      const saved = await this.#bus.driver.getDocument(this.#key(correlation))
      const spent: Spent = saved ? JSON.parse(saved.value) : { calls: 0, tokens: 0, cost: 0 }
      account = { spent, saved: spent.calls, revision: saved?.revision ?? 0 }
      if (this.#accounts.size >= remembered) this.#accounts.delete(this.#accounts.keys().next().value!)
      this.#accounts.set(correlation, account)
    }
    return account
  }

  #key(correlation: string) {
    return `spent/${this.#group}/${correlation}`
  }
}
