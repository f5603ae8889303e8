import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { reasonOf, type Reason } from '../bus/reason.ts'
import {
  BudgetLedger,
  addSpending,
  recordedSpending,
  spendingOfTurn,
  type Budget,
  type Charge,
  type Spending,
} from './budget.ts'
import { isRouted } from './instances.ts'
import type { ProgramDefinition } from './program.ts'
import type { Task } from './task.ts'
import { refusalEvent } from './engine-answers.ts'
import type { TurnBuilder } from './turn.ts'

export interface TurnRefusal {
  readonly reason: Reason
  /** The input that tells the task about it. */
  readonly notice?: CloudEvent
  /** The task does not start: no caller waits, and even its failure would exceed the budget. */
  readonly isSilent?: boolean
}

export interface TaskLimitsOptions {
  readonly bus: Bus
  readonly maxHops: number
  readonly budget: Budget
  /** The workflows to whose instances events are forwarded. */
  readonly keyed: readonly ProgramDefinition[]
}

/** The limits that stop runaway tasks: the length of a chain of tasks, and the budget of a correlation. */
export class TaskLimits {
  readonly #maxHops: number
  readonly #ledger: BudgetLedger
  readonly #keyed: readonly ProgramDefinition[]

  constructor({ bus, maxHops, budget, keyed }: TaskLimitsOptions) {
    this.#maxHops = maxHops
    this.#ledger = new BudgetLedger(bus, budget)
    this.#keyed = keyed
  }

  hopLimitError(hops: number): TidingsError | undefined {
    const maxHops = this.#maxHops
    if (hops <= maxHops) return undefined
    return new TidingsError('E_TASK_HOPS', `the chain of tasks is ${hops} long; maxHops is ${maxHops}`)
  }

  charge(correlation: string, isFirst: boolean): Charge {
    return this.#ledger.charge(correlation, isFirst)
  }

  forget(shard: number): void {
    this.#ledger.forget(shard)
  }

  /** Runs the program. Undefined if its turn is within all limits. */
  async decide(
    task: Task,
    builder: TurnBuilder,
    inputs: readonly CloudEvent[],
    charge: Charge,
  ): Promise<TurnRefusal | undefined> {
    const { identity, machine } = task
    const tooFar = this.hopLimitError(identity.hops)
    if (tooFar) {
      builder.fail(tooFar.toJSON())
      return { reason: reasonOf(tooFar) }
    }
    const { canCompensate, isCompensating } = machine
    await task.decide(inputs, builder)
    const isUnasked = builder.version === 1 && identity.start.replyto === undefined
    if (isCompensating || !(builder.asks || isUnasked)) return undefined
    const broke = await charge.tryReserve(this.#spentBy(builder, inputs))
    if (broke === undefined) return undefined
    const error = new TidingsError('E_BUDGET_EXCEEDED', broke)
    const notice = canCompensate && !builder.fault ? refusalEvent(identity, builder, error.toJSON()) : undefined
    builder.clear()
    if (notice) await task.decide([notice], builder)
    else builder.fail(error.toJSON())
    const isSilent = isUnasked && (await charge.tryReserve(this.#spentBy(builder, inputs))) !== undefined
    return { reason: reasonOf(error), ...(notice && { notice }), isSilent }
  }

  /** Reserves what the turn spends. Returns the total of the task including this turn. */
  recordSpending(task: Task, builder: TurnBuilder, inputs: readonly CloudEvent[], charge: Charge): Partial<Spending> {
    const spent = this.#spentBy(builder, inputs)
    charge.reserve(spent)
    return recordedSpending(addSpending(task.spent, spent))
  }

  #spentBy(builder: TurnBuilder, inputs: readonly CloudEvent[]): Spending {
    let routed = 0
    for (const program of this.#keyed) for (const event of builder.events) if (isRouted(program, event)) routed++
    return spendingOfTurn(builder, inputs, routed)
  }
}
