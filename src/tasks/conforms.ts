import type { JsonSchema } from '../schema.ts'

/*
 * Whether JSON has the structure that a schema describes, such as one of an MCP server. It checks types, fields, items and constants, and ignores the rest: a
 * regular expression of a malicious schema could occupy the process for hours.
 */

const maxSchemaDepth = 32

/** The first problem, with its path; undefined if there is none. */
export function structureProblem(schema: unknown, value: unknown, path = '$', depth = 0): string | undefined {
  if (typeof schema !== 'object' || schema === null || depth > maxSchemaDepth) return undefined
  const {
    type,
    enum: allowed,
    const: constant,
    properties,
    required,
    items,
    additionalProperties,
  } = schema as JsonSchema
  const types = Array.isArray(type) ? type : typeof type === 'string' ? [type] : []
  if (types.length > 0 && !types.some(each => hasType(each, value))) return `${path} must be ${types.join(' or ')}`
  const isScalar = typeof value !== 'object' || value === null
  if (isScalar && Array.isArray(allowed) && !allowed.includes(value)) return `${path} is not one of the allowed values`
  if (isScalar && constant !== undefined && value !== constant) return `${path} must be ${JSON.stringify(constant)}`
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      const problem = structureProblem(items, item, `${path}[${i}]`, depth + 1)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  if (isScalar) return undefined
  const fields = (properties ?? {}) as Readonly<Record<string, unknown>>
  const needed: readonly unknown[] = Array.isArray(required) ? required : []
  for (const name of needed) if (!Object.hasOwn(value, String(name))) return `${path}.${String(name)} is missing`
  for (const [name, field] of Object.entries(value)) {
    // Models write null for a field that they leave out.
    if (field === null && !needed.includes(name)) continue
    if (Object.hasOwn(fields, name)) {
      const problem = structureProblem(fields[name], field, `${path}.${name}`, depth + 1)
      if (problem !== undefined) return problem
    } else if (additionalProperties === false && !('patternProperties' in schema)) return `${path}.${name} is unknown`
  }
  return undefined
}

function hasType(type: unknown, value: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  // Other words are not from JSON Schema.
  return typeof type !== 'string' || !['string', 'number', 'boolean'].includes(type) || typeof value === type
}
