import { checkedData, parsedData, type AnyEventType, type CloudEvent } from '../event.ts'
import { errorData, failure, type ErrorData } from '../errors.ts'
import { copyOf } from '../json.ts'
import type { TypeOrName } from './patterns.ts'
import type { Command } from './state.ts'

/*
 * The event types that a workflow was built with. A definition is stored as JSON, so a step or a pattern keeps its event type beside its
 * data, under a symbol.
 */

const declaredType = Symbol('event type')

/** A step or a pattern that keeps its event type, if it has one. */
export const withType = <T extends object>(part: T, type: TypeOrName): T =>
  typeof type === 'string' ? part : { ...part, [declaredType]: type }

/** The event types of steps, and of their patterns and blocks. */
export function declaredTypes(part: unknown): AnyEventType[] {
  if (typeof part !== 'object' || part === null) return []
  const own = (part as { [declaredType]?: AnyEventType })[declaredType]
  return [...(own ? [own] : []), ...Object.values(part).flatMap(declaredTypes)]
}

/** @throws E_EVENT_INVALID if the data of an event from outside does not match its declared type */
export function checkReceived(types: readonly AnyEventType[], { type, data }: CloudEvent): void {
  for (const declared of types) if (declared.type === type) parsedData(declared, copyOf(data))
}

/** Why the first event that does not match its declared type cannot be emitted. */
export function emitProblem(types: readonly AnyEventType[], commands: readonly Command[]): ErrorData | undefined {
  for (const command of commands) {
    if (command.kind !== 'emit') continue
    try {
      for (const type of types) if (type.type === command.type) checkedData(type, command.data)
    } catch (error) {
      return errorData(error, 'E_EVENT_INVALID')
    }
  }
  return undefined
}

/** The same for a recorded turn: it did not emit what it would have emitted. The record decides, because the schema may be another one now. */
export function recordedEmitProblem(
  types: readonly AnyEventType[],
  commands: readonly Command[],
  emitted: readonly { readonly type: string }[],
): ErrorData | undefined {
  for (const command of commands) {
    if (command.kind !== 'emit') continue
    const { type } = command
    if (!types.some(declared => declared.type === type) || emitted.some(event => event.type === type)) continue
    const text = `the data of "${type}" did not match its schema when the workflow emitted it`
    return emitProblem(types, [command]) ?? failure('E_EVENT_INVALID', text)
  }
  return undefined
}
