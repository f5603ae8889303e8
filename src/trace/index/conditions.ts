import type { SqlValue } from '../../bus/sql.ts'

/** The conditions of a query, with their values in order. */
export class Conditions {
  readonly #texts: string[] = []
  readonly values: SqlValue[] = []

  /** Adds a condition with a `?` for each value, unless the value is undefined. */
  only(condition: string, ...values: (SqlValue | undefined)[]): this {
    const given = values.filter(value => value !== undefined)
    if (given.length < values.length) return this
    this.#texts.push(condition)
    this.values.push(...given)
    return this
  }

  get sql(): string {
    return this.#texts.join(' AND ')
  }
}

/** The key of a name. */
export const keyOfName = '(SELECT key FROM names WHERE name = ?)'
/** A list of keys as JSON. */
export const keysInJson = '(SELECT value FROM json_each(?))'
