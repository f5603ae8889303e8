import type { CloudEvent } from '../event.ts'
import type { Redactor } from '../bus/redact.ts'
import { emittedHash } from '../tasks/turn.ts'
import { isTurn, type RecordedStep, type TurnEvent } from './order.ts'

/**
 * Redacts what the log stores in clear, for example because a rule was declared later. A replay of the slice sees redacted inputs, so the
 * digests that turns contain (of emitted data and of the state) are replaced or removed too.
 */
export class SliceRedactor {
  readonly #redactor: Redactor
  /** Tasks with a changed turn. The digest of their state no longer matches. */
  readonly #redactedTasks = new Set<string>()
  count = 0

  constructor(redactor: Redactor) {
    this.#redactor = redactor
  }

  document(value: string): string {
    return this.#redactor.json(value)
  }

  step({ stored, emitted }: RecordedStep): RecordedStep {
    if (!isTurn(stored.event)) return { stored: { ...stored, event: this.#redactEvent(stored.event) }, emitted }
    const cleaned = emitted.map(each => ({ ...each, event: this.#redactEvent(each.event) }))
    const changed = cleaned.filter(({ event }, i) => event !== emitted[i]!.event)
    const changes = new Map(changed.map(({ event }) => [event.id, emittedHash(event.data)]))
    return { stored: { ...stored, event: this.#redactTurn(stored.event, changes) }, emitted: cleaned }
  }

  #redactTurn(turn: TurnEvent, hashes: ReadonlyMap<string, string>): CloudEvent {
    const cleaned = this.#redactEvent(turn) as TurnEvent
    const task = turn.id.slice(0, turn.id.lastIndexOf(':'))
    if (cleaned !== turn || hashes.size > 0) this.#redactedTasks.add(task)
    if (!this.#redactedTasks.has(task)) return turn
    const { stateHash: _, ...data } = cleaned.data
    const emits = data.emits.map(emit => ({ ...emit, hash: hashes.get(emit.id) ?? emit.hash }))
    return { ...cleaned, data: { ...data, emits } }
  }

  #redactEvent(event: CloudEvent): CloudEvent {
    const cleaned = this.#redactor.event(event)
    if (cleaned !== event) this.count++
    return cleaned
  }
}
