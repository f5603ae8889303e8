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

export const defaultBudget: Budget = { calls: 1_000, tokens: Infinity, cost: Infinity }

export interface Spent {
  calls: number
  tokens: number
  cost: number
}

const remembered = 10_000
const savedEvery = 32
/** Calls of a correlation before what is saved of it is read: most correlations end before that and cost no look. */
const unreadCalls = 8

interface Account {
  /** What is known: of this process alone while `isRead` is false. */
  readonly spent: Spent
  saved: number
  revision: number
  isRead: boolean
}

/**
 * Counts what each correlation has spent. All tasks of a correlation live in one shard, hence in one process; the count
 * is saved every 32 calls, so that a crash forgives at most that many, and the few before the next owner reads it.
 */
export class Ledger {
  readonly #bus: Bus
  readonly #group: string
  readonly #budget: Budget
  readonly #accounts = new Map<string, Account>()

  constructor(bus: Bus, group: string, budget: Budget) {
    this.#bus = bus
    this.#group = group
    this.#budget = budget
  }

  /** The first limit that these further calls would break, for people; undefined when there is room. */
  async refuses(correlation: string, calls: number): Promise<string | undefined> {
    if (calls === 0) return undefined
    const account = this.#account(correlation)
    const { spent } = account
    if (!account.isRead && spent.calls + calls > unreadCalls) await this.#read(correlation, account)
    const budget = this.#budget
    if (spent.calls + calls > budget.calls) return `${spent.calls} of ${budget.calls} calls are spent`
    if (spent.tokens >= budget.tokens) return `${spent.tokens} of ${budget.tokens} tokens are spent`
    if (spent.cost >= budget.cost) return `${spent.cost} of ${budget.cost} is spent`
    return undefined
  }

  /** Books an accepted turn. */
  async book(correlation: string, calls: number, inputs: readonly CloudEvent[]): Promise<void> {
    const account = this.#account(correlation)
    const { spent } = account
    spent.calls += calls
    for (const input of inputs) {
      if (input.type !== 'model.result') continue
      const { usage, cost } = input.data as { usage?: { input?: number; output?: number }; cost?: number }
      spent.tokens += (usage?.input ?? 0) + (usage?.output ?? 0)
      spent.cost += cost ?? 0
    }
    if (!account.isRead || spent.calls - account.saved < savedEvery) return
    account.saved = spent.calls
    account.revision = await this.#bus.driver.putDocument(
      this.#key(correlation),
      JSON.stringify(spent),
      account.revision,
    )
    if (account.revision === 0) this.#accounts.delete(correlation)
  }

  forget() {
    this.#accounts.clear()
  }

  #account(correlation: string): Account {
    let account = this.#accounts.get(correlation)
    if (!account) {
      account = { spent: { calls: 0, tokens: 0, cost: 0 }, saved: 0, revision: 0, isRead: false }
      if (this.#accounts.size >= remembered) this.#accounts.delete(this.#accounts.keys().next().value!)
      this.#accounts.set(correlation, account)
    }
    return account
  }

  async #read(correlation: string, account: Account): Promise<void> {
    const document = await this.#bus.driver.getDocument(this.#key(correlation))
    if (account.isRead) return
    account.isRead = true
    if (!document) return
    const saved = JSON.parse(document.value) as Spent
    account.saved = saved.calls
    account.revision = document.revision
    for (const kind of ['calls', 'tokens', 'cost'] as const) account.spent[kind] += saved[kind]
  }

  #key(correlation: string) {
    return `spent/${this.#group}/${correlation}`
  }
}
