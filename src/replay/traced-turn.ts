import { sourceLocation } from '../stack.ts'
import type { EmittedRef } from '../tasks/program.ts'
import { TurnBuilder, type AddressedRequest, type TaskIdentity } from '../tasks/turn.ts'
import type { LoggedTurn } from './turn-assembler.ts'

/** Collects what a turn emits today, with the source line. A call with a recorded key gets its recorded id. */
export class TracedTurn extends TurnBuilder {
  readonly #recorded: ReadonlyMap<string | undefined, string>
  readonly #stacks = new Map<string, Error>()

  constructor(identity: TaskIdentity, { turn }: LoggedTurn) {
    super({ identity, version: turn.version, inputs: turn.inputs, now: turn.at })
    this.#recorded = new Map(turn.emits.flatMap(({ id, wait }) => (wait?.key === undefined ? [] : [[wait.key, id]])))
  }

  protected override add(request: AddressedRequest, wait?: EmittedRef['wait'], given?: string): string {
    const id = super.add(request, wait, given)
    this.#stacks.set(id, new Error())
    return this.#recorded.get(wait?.key) ?? id
  }

  /** The line that emitted an event, as `path:line:column`; undefined if no user code did. */
  sourceLocationOf(id: string): string | undefined {
    return sourceLocation(this.#stacks.get(id)?.stack)
  }
}
