/* Reads JSON from outside, whose fields may be missing or of any type. */

export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value if it is an object, else one without fields. */
export const objectIn = (value: unknown): JsonObject => (isObject(value) ? value : {})

export const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

export const textIn = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

export const countIn = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined

/** The named fields that are there, under other names. */
export function pick(from: JsonObject, names: Readonly<Record<string, string>>): Record<string, unknown> {
  const found = Object.entries(names).map(([name, as]) => [as, from[name]] as const)
  return Object.fromEntries(found.filter(([, value]) => value !== undefined && value !== null))
}

/** The object in a JSON text; undefined if it is anything else. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
