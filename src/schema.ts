import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import { textOf, TidingsError, type ErrorCode } from './errors.ts'
import { invalidAt } from './options.ts'

/** Any Standard Schema (zod, valibot, arktype, …) that makes `T` of what it is `Given`. Source: standardschema.dev. */
export type Schema<T = unknown, Given = unknown> = StandardSchemaV1<Given, T>

export type JsonSchema = Record<string, unknown>

/** The output of the schema for a value. @throws the given code, with every issue */
export async function validateInput<T>(schema: Schema<T>, value: unknown, code: ErrorCode, what: string): Promise<T> {
  return validatedValue(await schema['~standard'].validate(value), code, what)
}

/** The value in a validation result. */
export function validatedValue<T>(result: StandardSchemaV1.Result<T>, code: ErrorCode, what: string): T {
  if (result.issues) throw new TidingsError(code, `${what}: ${describe(result.issues)}`)
  return result.value
}

/** Validates synchronously: the value, or the problem. @throws E_APP_INVALID for async schemas */
export function validateNow<T>(schema: Schema<T>, value: unknown): { value: T } | { problem: string } {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) {
    // zod also gives a promise if the schema threw.
    result.catch(() => {})
    throw new TidingsError('E_APP_INVALID', 'the schema must validate synchronously, but it is async or threw')
  }
  return result.issues ? { problem: describe(result.issues) } : { value: result.value }
}

/** What the schema makes of a value, synchronously. @throws the given code, with the path of the first fault */
export function parsedBy<T>(
  schema: Schema<T>,
  value: unknown,
  { code, what, next }: { code: ErrorCode; what: string; next?: string },
): T {
  let problem: string
  try {
    const checked = validateNow(schema, value)
    if ('value' in checked) return checked.value
    problem = checked.problem
  } catch (error) {
    if (error instanceof TidingsError) throw error
    problem = `the schema threw: ${textOf(error)}`
  }
  throw new TidingsError(code, `${what}: ${problem}`, { next })
}

const describe = (issues: readonly StandardSchemaV1.Issue[]) =>
  issues
    .map(({ path, message }) => {
      const at = path?.map(part => String(typeof part === 'object' ? part.key : part)).join('.')
      return at ? `${at}: ${message}` : message
    })
    .join('; ')

/** JSON Schema (draft 7) of the input side. @throws E_APP_INVALID if the library cannot express it */
export function jsonSchema(schema: Schema, what: string): JsonSchema {
  const standard = schema['~standard'] as Partial<StandardJSONSchemaV1.Props>
  if (!standard.jsonSchema)
    throw invalidAt(
      `the schema of ${what}`,
      'its library has no JSON Schema support: use zod 4 or another library with it',
    )
  try {
    return converted(schema)
  } catch (cause) {
    const at = inconvertiblePath(schema)
    throw invalidAt(
      `the schema of ${what}`,
      `${at && `${at}: `}it has no JSON Schema form: ${(cause as Error).message}`,
    )
  }
}

function converted(schema: Schema): JsonSchema {
  const { jsonSchema: converter } = schema['~standard'] as unknown as StandardJSONSchemaV1.Props
  const { $schema: _, ...form } = converter.input({ target: 'draft-07' })
  return form
}

/** The path of the first part of a zod schema that JSON Schema cannot express, such as `lines[].at`; empty if unknown. */
function inconvertiblePath(schema: unknown, depth = 0): string {
  for (const [step, part] of depth > maxDepth ? [] : partsOf(schema))
    if (!isConvertible(part)) return joined(step, inconvertiblePath(part, depth + 1))
  return ''
}

/** A path from two parts, as in `lines[].at`. */
const joined = (path: string, more: string) =>
  path && more && !more.startsWith('[') ? `${path}.${more}` : `${path}${more}`

const maxDepth = 32

function isConvertible(schema: Schema): boolean {
  try {
    converted(schema)
    return true
  } catch {
    return false
  }
}

/** The parts of a zod schema, each with the path step to it. Empty for other libraries. */
function partsOf(schema: unknown): [step: string, part: Schema][] {
  const def = zodDefinition(schema)
  if (!def) return []
  const { shape, element, items, options, innerType, valueType, in: first, left, right } = def
  return [
    ...Object.entries((shape ?? {}) as Record<string, unknown>),
    ...[items ?? []].flat().map((item, i) => [`[${i}]`, item] as const),
    ...[options ?? []].flat().map(option => ['', option] as const),
    ...(element ? [['[]', element] as const] : []),
    ...(valueType ? [['*', valueType] as const] : []),
    ...[innerType, first, left, right].map(part => ['', part] as const),
  ].filter((part): part is [string, Schema] => zodDefinition(part[1]) !== undefined)
}

const zodDefinition = (schema: unknown) =>
  (schema as { _zod?: { def?: Readonly<Record<string, unknown>> } } | null | undefined)?._zod?.def

/** Types without a JSON value, so that no input can match them. */
const notInJson = new Set<unknown>(['date', 'bigint', 'symbol', 'map', 'set', 'function', 'nan'])

/** The first part of a zod schema that no JSON value can match, such as `when: z.date()`. Undefined for other libraries. */
export function neverJson(schema: unknown, path = '', depth = 0): string | undefined {
  const def = zodDefinition(schema)
  if (!def || depth > maxDepth) return undefined
  if (notInJson.has(def.type)) return def.coerce ? undefined : `${path && `${path}: `}z.${String(def.type)}()`
  if (def.type === 'union') {
    const found = partsOf(schema).map(([, option]) => neverJson(option, path, depth + 1))
    return found.every(each => each !== undefined) ? found[0] : undefined
  }
  if (def.type !== 'object' && def.type !== 'array' && def.type !== 'tuple' && def.type !== 'pipe') return undefined
  for (const [step, part] of partsOf(schema)) {
    const found = neverJson(part, joined(path, step), depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}
