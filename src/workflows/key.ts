import { TidingsError } from '../errors.ts'
import { typeName, type DataOf, type TypeOrName } from './patterns.ts'
import { placeholder, toExpression, type Ref } from './refs.ts'

/** Path of the instance key in the data of a type. Made by `by()`. */
export interface Key {
  readonly type: string
  readonly path: readonly string[]
}

/**
 * Events of this type belong to the instance of this key.
 * @throws E_APP_INVALID
 * @example
 * workflow('order', { on: placed, key: [by(placed, p => p.order), by(paid, p => p.order)], within: '30d' })
 */
export function by<T extends TypeOrName>(type: T, select: (data: Ref<DataOf<T>>) => unknown): Key {
  const expression = toExpression(select(placeholder([])))
  if (!('ref' in expression) || expression.ref.length === 0)
    throw new TidingsError('E_APP_INVALID', `by(${typeName(type)}): the key must be a field of the event`)
  return { type: typeName(type), path: expression.ref }
}
