import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { reasonOf, type Reason } from '../bus/reason.ts'
import { Ledger, plus, recorded, spentBy, type Budget, type Charge, type Spent } from './budget.ts'
import { isRouted } from './instances.ts'
import type { ProgramDefinition } from './program.ts'
import type { Task } from './task.ts'
import { refusalOf, type TurnBuilder } from './turn.ts'

export interface Refusal {
  readonly reason: Reason
  /** What the task was told of it, as an input of the turn. */
  readonly told?: CloudEvent
  /** Not even its failure may be published, and nobody waits for it: the task does not begin. */
  readonly isQuiet?: boolean
}

/** What keeps tasks from running away: how far they may descend, and what a correlation may spend. */
export class Bounds {
  readonly #maxHops: number
  readonly #ledger: Ledger
  readonly #keyed: readonly ProgramDefinition[]

  /** `keyed`: the workflows to whose instances events are sent on. */
  constructor(bus: Bus, maxHops: number, budget: Budget, keyed: readonly ProgramDefinition[]) {
    this.#maxHops = maxHops
    this.#ledger = new Ledger(bus, budget)
    this.#keyed = keyed
  }

  tooFar(hops: number): TidingsError | undefined {
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

  /** Lets the program decide. Undefined when it may do what it wants. */
  async decide(
    task: Task,
    builder: TurnBuilder,
    inputs: readonly CloudEvent[],
    charge: Charge,
  ): Promise<Refusal | undefined> {
    const { identity, machine } = task
    const tooFar = this.tooFar(identity.hops)
    if (tooFar) {
      builder.fail(tooFar.toJSON())
      return { reason: reasonOf(tooFar) }
    }
    const { undoes, undoing } = machine
    await task.decide(inputs, builder)
    const isUnasked = builder.version === 1 && identity.start.replyto === undefined
    if (undoing || !(builder.asks || isUnasked)) return undefined
    const broke = await charge.tryReserve(this.#spentBy(builder, inputs))
    if (broke === undefined) return undefined
    const error = new TidingsError('E_BUDGET_EXCEEDED', broke)
    const told = undoes && !builder.fault ? refusalOf(identity, builder, error.toJSON()) : undefined
    builder.clear()
    if (told) await task.decide([told], builder)
    else builder.fail(error.toJSON())
    const isQuiet = isUnasked && (await charge.tryReserve(this.#spentBy(builder, inputs))) !== undefined
    return { reason: reasonOf(error), ...(told && { told }), isQuiet }
  }

  /** Reserves what the turn spends as it is; what the task has spent with it. */
  book(task: Task, builder: TurnBuilder, inputs: readonly CloudEvent[], charge: Charge): Partial<Spent> {
    const spent = this.#spentBy(builder, inputs)
    charge.reserve(spent)
    return recorded(plus(task.spent, spent))
  }

  #spentBy(builder: TurnBuilder, inputs: readonly CloudEvent[]): Spent {
    let routed = 0
    for (const program of this.#keyed) for (const event of builder.events) if (isRouted(program, event)) routed++
    return spentBy(builder, inputs, routed)
  }
}
