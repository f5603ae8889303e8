import type { ErrorData } from '../errors.ts'
import { sourceLocation } from '../stack.ts'
import type { CallRequest, EmitRequest } from '../tasks/program.ts'
import type { Duration } from '../tasks/duration.ts'
import { TurnBuilder, type TaskIdentity } from '../tasks/turn.ts'
import type { LoggedTurn } from './turn-assembler.ts'

/** Collects what a turn emits today, with the source line. A call with a recorded key gets its recorded id. */
export class TracedTurn extends TurnBuilder {
  readonly #recorded: Map<string, string>
  readonly #stacks = new Map<string, Error>()

  constructor(identity: TaskIdentity, { turn, inputs }: LoggedTurn) {
    super({ identity, version: turn.version, inputs, now: turn.at })
    this.#recorded = new Map(
      turn.emits.flatMap(({ id, wait }) => (wait?.key === undefined ? [] : [[wait.key, id] as const])),
    )
  }

  override emit(emission: EmitRequest): string {
    return this.#trace(super.emit(emission))
  }

  override call(request: CallRequest): string {
    return this.#withRecordedId(request.key, this.#trace(super.call(request)))
  }

  override sleep(duration: Duration, key?: string): string {
    return this.#withRecordedId(key, this.#trace(super.sleep(duration, key)))
  }

  override complete(output: unknown) {
    super.complete(output)
    this.#trace(this.events.at(-1)!.id)
  }

  override fail(error: ErrorData) {
    super.fail(error)
    this.#trace(this.events.at(-1)!.id)
  }

  override continueAs(input: unknown) {
    super.continueAs(input)
    this.#trace(this.events.at(-1)!.id)
  }

  /** The line that emitted an event, as `path:line:column`; undefined if no user code did. */
  sourceLocationOf(id: string): string | undefined {
    return sourceLocation(this.#stacks.get(id)?.stack)
  }

  #trace(id: string): string {
    this.#stacks.set(id, new Error())
    return id
  }

  #withRecordedId(key: string | undefined, id: string): string {
    return (key !== undefined && this.#recorded.get(key)) || id
  }
}
