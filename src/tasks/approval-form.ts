import { TidingsError } from '../errors.ts'
import { invalidAt } from '../options.ts'
import { jsonSchema, type JsonSchema, type Schema } from '../schema.ts'
import { structureProblem } from './conforms.ts'

/* What a person fills in to grant a request: a flat object, which every user interface can show as fields. */

/** @throws E_APP_INVALID if a field is more than a text, a number, a flag, or a choice */
export function approvalFormOf(schema: Schema, what: string): JsonSchema {
  const form = jsonSchema(schema, `the form of ${what}`)
  const problem = formProblem(form)
  if (problem !== undefined) throw invalidAt(`the form of ${what}`, problem)
  return fieldsOf(form)
}

/** The part of a schema that makes a form. */
export const fieldsOf = ({ type, properties = {}, required }: JsonSchema): JsonSchema => ({
  type,
  properties,
  ...(required !== undefined && { required }),
})

/** Why this is not the schema of a form; undefined if it is. */
export function formProblem({ type, properties = {} }: JsonSchema): string | undefined {
  if (type !== 'object') return 'it must be the schema of an object'
  for (const [name, field] of Object.entries(properties as Record<string, JsonSchema>)) {
    const { type: fieldType, items = {} } = field
    if (fieldType === 'object' || '$ref' in field || (fieldType === 'array' && !isChoice(items as JsonSchema)))
      return `"${name}" must be a text, a number, a flag, a choice, or a list of choices`
  }
  return undefined
}

const isChoice = (items: JsonSchema) => ['enum', 'anyOf', 'oneOf', 'const'].some(key => key in items)

/** The content for a form, as it is stored. @throws E_REQUEST_INVALID */
export function checkedContent(
  form: JsonSchema | undefined,
  content: unknown,
): Readonly<Record<string, unknown>> | undefined {
  if (!form) {
    if (content === undefined) return undefined
    throw new TidingsError('E_REQUEST_INVALID', 'the request for approval has no form, so its answer has no content')
  }
  const problem = content === undefined ? 'it is missing' : structureProblem(form, content)
  if (problem === undefined) return content as Readonly<Record<string, unknown>>
  throw new TidingsError('E_REQUEST_INVALID', `the content for the form of this request does not fit: ${problem}`, {
    next: 'Fill in the fields of `form` of the request, as --content on the command line or `content` of the answer. Or deny the request.',
  })
}
