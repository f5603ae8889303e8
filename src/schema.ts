import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import { TidingsError, type ErrorCode } from './errors.ts'

/** Any Standard Schema (zod, valibot, arktype, …). Source: standardschema.dev. */
export type Schema<T = unknown> = StandardSchemaV1<unknown, T>

export type JsonSchema = Record<string, unknown>

/** The value as the schema understands it. @throws the given code, with every issue named. */
export async function validate<T>(schema: Schema<T>, value: unknown, code: ErrorCode, what: string): Promise<T> {
  return valueOf(await schema['~standard'].validate(value), code, what)
}

/** The same of what a schema said already. */
export function valueOf<T>(result: StandardSchemaV1.Result<T>, code: ErrorCode, what: string): T {
  if (result.issues) throw new TidingsError(code, `${what}: ${describe(result.issues)}`)
  return result.value
}

/** The same for code that must not wait: the value, or what is wrong with it. @throws E_APP_INVALID for async schemas. */
export function validateNow<T>(schema: Schema<T>, value: unknown): { value: T } | { problem: string } {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) throw new TidingsError('E_APP_INVALID', 'an output schema must validate synchronously')
  return result.issues ? { problem: describe(result.issues) } : { value: result.value }
}

const describe = (issues: readonly StandardSchemaV1.Issue[]) =>
  issues
    .map(({ path, message }) => {
      const at = path?.map(part => String(typeof part === 'object' ? part.key : part)).join('.')
      return at ? `${at}: ${message}` : message
    })
    .join('; ')

/** JSON Schema (draft 7) of the input side. @throws E_APP_INVALID when the library cannot say it. */
export function jsonSchema(schema: Schema, what: string): JsonSchema {
  const standard = schema['~standard'] as Partial<StandardJSONSchemaV1.Props>
  if (!standard.jsonSchema)
    throw new TidingsError('E_APP_INVALID', `the schema of ${what} offers no JSON Schema; zod 4 does`)
  const { $schema: _, ...converted } = standard.jsonSchema.input({ target: 'draft-07' })
  return converted
}
