import type { Bus } from '../../bus/bus.ts'
import type { Draft } from '../../event.ts'
import type { ModelResult } from '../../tasks/conversation.ts'

/** The most that the models of one correlation may spend. */
export interface ModelBudget {
  /** Input and output tokens. */
  readonly tokens?: number | undefined
  /** In the currency of the prices. */
  readonly cost?: number | undefined
  /** Refuse further requests of the correlation. Default: only say so. */
  readonly enforce?: boolean | undefined
}

/** Published once for a correlation that has spent its budget. */
const budgetAlarmType = 'tap.budget.exceeded'

interface Account {
  tokens: number
  cost: number
  readAt: number
  hasAlarm: boolean
}

const maxAccounts = 10_000
/** Other processes of the tap may spend too. */
const freshMs = 5_000

/** What correlations have spent, as the log says. Answers count when they are known, so open calls may exceed the budget. */
export class SpendingLimit {
  readonly #budget: ModelBudget
  readonly #accounts = new Map<string, Account>()

  constructor(budget: ModelBudget) {
    this.#budget = budget
  }

  get isEnforced(): boolean {
    return this.#budget.enforce === true && this.#isSet
  }

  get #isSet(): boolean {
    return this.#budget.tokens !== undefined || this.#budget.cost !== undefined
  }

  /** Reads what a correlation has spent, unless that is known. */
  async refresh(bus: Bus, correlation: string): Promise<void> {
    if (!this.#isSet) return
    const account = this.#account(correlation)
    if (account.readAt + freshMs < performance.now()) await this.#read(bus, correlation, account)
  }

  /** Why a correlation may spend nothing more; undefined if it may. Without the log, only what this process has seen counts. */
  refusal(correlation: string): string | undefined {
    const over = this.#isSet ? this.#exceeded(this.#account(correlation)) : undefined
    return over && `the correlation ${correlation} has spent ${over.spent} of ${over.budget} ${over.kind}`
  }

  /** Counts an answer. Returns the alarm if it is the one that spends the budget. */
  spend(tap: string, correlation: string, { usage, cost = 0 }: Pick<ModelResult, 'usage' | 'cost'>): Draft | undefined {
    if (!this.#isSet) return undefined
    const account = this.#account(correlation)
    account.tokens += usage.input + usage.output
    account.cost += cost
    const data = this.#exceeded(account)
    if (!data || account.hasAlarm) return undefined
    account.hasAlarm = true
    const id = `tap:${tap}:budget:${data.kind}:${correlation}`
    return { id, type: budgetAlarmType, subject: tap, correlationid: correlation, data }
  }

  #exceeded(account: Account) {
    for (const kind of ['tokens', 'cost'] as const) {
      const budget = this.#budget[kind]
      if (budget !== undefined && account[kind] >= budget) return { kind, spent: account[kind], budget }
    }
    return undefined
  }

  async #read(bus: Bus, correlation: string, account: Account): Promise<void> {
    let [tokens, cost] = [0, 0]
    for await (const { event } of bus.read({ correlation })) {
      if (event.type !== 'model.result') continue
      const { usage, cost: own = 0 } = (await bus.resolveIfStored(event)).data as ModelResult
      tokens += (usage?.input ?? 0) + (usage?.output ?? 0)
      cost += own
    }
    // What this process has counted may not be on the log yet.
    account.tokens = Math.max(account.tokens, tokens)
    account.cost = Math.max(account.cost, cost)
    account.readAt = performance.now()
  }

  #account(correlation: string): Account {
    let account = this.#accounts.get(correlation)
    if (!account) {
      if (this.#accounts.size >= maxAccounts) this.#accounts.delete(this.#accounts.keys().next().value!)
      this.#accounts.set(correlation, (account = { tokens: 0, cost: 0, readAt: -Infinity, hasAlarm: false }))
    }
    return account
  }
}
