import { TidingsError } from '../errors.ts'
import { deadlineFrom, type Duration, type Timeout } from './duration.ts'
import type { CallRequest, EmitRequest, RecordedTurn, TurnContext } from './program.ts'
import { emitData } from './turn.ts'
import { awaitsType } from './waits.ts'

/** What straight-line code needs of a turn. */
export type ScriptTurn = Pick<TurnContext, 'now' | 'call' | 'sleep' | 'awaitEvent' | 'cancelCall' | 'emit' | 'log'>

/** Calls that the engine answers, which have no `replyto`. */
const engineCalls = ['timer.set', awaitsType]

/** A recorded turn that is repeated: returns the recorded ids and rejects what was not recorded. */
export class RepeatedTurn implements ScriptTurn {
  readonly now: number
  readonly #turn: RecordedTurn['turn']
  readonly #calls: Map<string, string>
  readonly #emitted: string[]

  constructor({ turn, emitted }: RecordedTurn) {
    this.now = turn.at
    this.#turn = turn
    this.#calls = new Map(turn.emits.filter(emit => emit.wait).map(emit => [emit.wait!.key ?? emit.id, emit.id]))
    this.#emitted = emitted
      .filter(event => !event.replyto && !engineCalls.includes(event.type))
      .map(event => event.type)
  }

  // Validates like the original turn, in the same order.
  call({ within, ...request }: CallRequest): string {
    if (within !== undefined) deadlineFrom(this.now, within)
    emitData(request)
    return this.#recorded(request.key!, request.type)
  }

  sleep(duration: Duration, key?: string): string {
    deadlineFrom(this.now, duration)
    return this.#recorded(key!, 'timer.set')
  }

  awaitEvent(_type: string, within: Timeout = 'forever', key?: string): string {
    deadlineFrom(this.now, within)
    return this.#recorded(key!, awaitsType)
  }

  cancelCall() {}

  log() {}

  emit(emission: EmitRequest): string {
    emitData(emission)
    const i = this.#emitted.indexOf(emission.type)
    if (i < 0) throw this.#mismatch(`emits ${emission.type}, which was not recorded`)
    this.#emitted.splice(i, 1)
    return ''
  }

  /** @throws E_PROGRAM_MISMATCH if a recorded call was not repeated */
  finish() {
    const [missing] = this.#calls.keys()
    if (missing !== undefined) throw this.#mismatch(`no longer makes the call ${missing}`)
  }

  #recorded(key: string, type: string): string {
    const id = this.#calls.get(key)
    if (id === undefined) throw this.#mismatch(`makes the call ${key} (${type}), which was not recorded`)
    this.#calls.delete(key)
    return id
  }

  #mismatch(what: string) {
    return new TidingsError('E_PROGRAM_MISMATCH', `turn ${this.#turn.version} of ${this.#turn.program} now ${what}`)
  }
}
