import type { CloudEvent } from '../event.ts'
import { digest } from '../tasks/turn.ts'
import { isTurn, type Step, type TurnEvent } from './order.ts'

type Redact = (event: CloudEvent) => CloudEvent

/**
 * Redacts what stands on a log in clear, as before a rule was declared. Whatever replays the slice sees redacted inputs, so
 * what turns say of the redacted (the digests of what they emitted, of their state) must not be that of the clear.
 */
export class Redaction {
  readonly #redact: Redact
  /** Tasks of which a turn was changed: the digest of their state is that of what nobody has any more. */
  readonly #changed = new Set<string>()
  count = 0

  constructor(redact: Redact) {
    this.#redact = redact
  }

  step({ stored, emitted }: Step): Step {
    if (!isTurn(stored.event)) return { stored: { ...stored, event: this.#one(stored.event) }, emitted }
    const cleaned = emitted.map(each => ({ ...each, event: this.#one(each.event) }))
    const changes = new Map<string, string>()
    cleaned.forEach(({ event }, i) => {
      if (event !== emitted[i]!.event) changes.set(event.id, digest(event.data))
    })
    return { stored: { ...stored, event: this.#turn(stored.event, changes) }, emitted: cleaned }
  }

  #turn(turn: TurnEvent, hashes: ReadonlyMap<string, string>): CloudEvent {
    const inputs = turn.data.inputs.map(input => this.#redact(input))
    const isSame = hashes.size === 0 && inputs.every((input, i) => input === turn.data.inputs[i])
    const emits = turn.data.emits.map(emit => ({ ...emit, hash: hashes.get(emit.id) ?? emit.hash }))
    const changed = isSame ? turn : { ...turn, data: { ...turn.data, inputs, emits } }
    const cleaned = this.#one(changed) as TurnEvent
    const task = turn.id.slice(0, turn.id.lastIndexOf(':'))
    if (cleaned !== turn) this.#changed.add(task)
    if (!this.#changed.has(task)) return cleaned
    const { stateHash: _, ...data } = cleaned.data
    return { ...cleaned, data }
  }

  #one(event: CloudEvent): CloudEvent {
    const cleaned = this.#redact(event)
    if (cleaned !== event) this.count++
    return cleaned
  }
}
