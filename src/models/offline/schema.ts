type Bound = 'minLength' | 'maxLength' | 'minItems' | 'maxItems' | 'minimum' | 'maximum' | 'exclusiveMinimum' | 'exclusiveMaximum' | 'multipleOf' // biome-ignore format: one list

type Part = OfflineSchema | boolean

/** The part of JSON Schema that structured output uses. */
export interface OfflineSchema extends Readonly<Partial<Record<Bound, number>>> {
  readonly type?: string | readonly string[]
  readonly properties?: { readonly [name: string]: Part }
  readonly required?: readonly string[]
  readonly items?: Part | readonly Part[]
  readonly prefixItems?: readonly Part[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly anyOf?: readonly Part[]
  readonly oneOf?: readonly Part[]
  readonly allOf?: readonly Part[]
  readonly $ref?: string
  readonly $defs?: { readonly [name: string]: Part }
  readonly definitions?: { readonly [name: string]: Part }
  readonly format?: string
  readonly uniqueItems?: boolean
}

export interface Values {
  text(name: string): string
  list(name: string): readonly string[]
  flag(name: string): boolean
  number(name: string): number
  choose(name: string, options: readonly unknown[]): unknown
  /** The values for one element of a list of objects. */
  about(topic: string): Values
}

/** A value that matches the schema, filled by property names. */
export function fill(schema: Part, values: Values, name = ''): unknown {
  return fillFrom({ root: typeof schema === 'object' ? schema : {}, values, depth: 0 }, schema, name)
}

interface Filling {
  readonly root: OfflineSchema
  readonly values: Values
  readonly depth: number
}

function fillFrom(filling: Filling, given: Part, name: string): unknown {
  const schema = resolve(filling.root, given)
  const { values } = filling
  if ('const' in schema) return schema.const
  if (schema.enum) return values.choose(name, schema.enum)
  const options = schema.anyOf ?? schema.oneOf
  if (options) return fillFrom(deeper(filling), chooseOption(filling, options), name)
  switch (typeOf(schema)) {
    case 'object':
      return fillObject(filling, schema)
    case 'array':
      return fillArray(filling, schema, name)
    case 'boolean':
      return values.flag(name)
    case 'integer':
      return fillNumber(schema, Math.round(values.number(name)), 1)
    case 'number':
      return fillNumber(schema, values.number(name), 0)
    case 'null':
      return null
    default:
      return fillString(schema, values.text(name))
  }
}

const deeper = (filling: Filling): Filling => ({ ...filling, depth: filling.depth + 1 })

/** Follows references and joins `allOf`, so that one flat schema remains. */
function resolve(root: OfflineSchema, given: Part): OfflineSchema {
  const schema = typeof given === 'object' ? given : {}
  if (schema.$ref === '#') return root
  if (schema.$ref !== undefined) {
    const name = decodeURIComponent(schema.$ref.replace(/^#\/(?:\$defs|definitions)\//, ''))
    return resolve(root, root.$defs?.[name] ?? root.definitions?.[name] ?? {})
  }
  if (!schema.allOf) return schema
  const { allOf, ...own } = schema
  return [own, ...allOf.map(part => resolve(root, part))].reduce((left, right) => ({
    ...left,
    ...right,
    properties: { ...left.properties, ...right.properties },
    required: [...(left.required ?? []), ...(right.required ?? [])],
  }))
}

function typeOf(schema: OfflineSchema): string {
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? [])
  const type = types.find(one => one !== 'null') ?? types[0]
  if (type !== undefined) return type
  if (schema.properties) return 'object'
  return schema.items || schema.prefixItems ? 'array' : 'string'
}

/** The first option that is not null. At depth, null or a plain value, so that recursive schemas end. */
function chooseOption({ root, depth }: Filling, options: readonly Part[]): Part {
  const flat = options.map(option => resolve(root, option))
  const isNull = (option: OfflineSchema) => option.type === 'null'
  const isPlain = (option: OfflineSchema) => !['object', 'array'].includes(typeOf(option))
  const preferred = depth > 4 ? (flat.find(isNull) ?? flat.find(isPlain)) : flat.find(option => !isNull(option))
  return preferred ?? flat[0] ?? {}
}

function fillObject(filling: Filling, schema: OfflineSchema): Record<string, unknown> {
  const required = new Set(schema.required)
  const properties = Object.entries(schema.properties ?? {})
    .filter(([name]) => required.has(name) || filling.depth < 3)
    .map(([name, property]) => [name, fillFrom(deeper(filling), property, name)])
  return Object.fromEntries(properties)
}

function fillArray(filling: Filling, schema: OfflineSchema, name: string): unknown[] {
  const { minItems = 0, maxItems = Infinity } = schema
  const tuple =
    schema.prefixItems ?? (Array.isArray(schema.items) ? (schema.items as readonly OfflineSchema[]) : undefined)
  if (tuple) return tuple.map((item, i) => fillFrom(deeper(filling), item, `${name}${i}`))
  const items = resolve(filling.root, (schema.items as Part | undefined) ?? {})
  const ends = filling.depth > 4 ? minItems : maxItems
  const plain = typeOf(items) === 'string' && !items.enum && !('const' in items) && !items.anyOf && !items.oneOf
  const sources = filling.values.list(name)
  const wanted = sources.slice(0, ends)
  while (wanted.length < minItems)
    wanted.push(`${sources[wanted.length % sources.length] ?? name} (${wanted.length + 1})`)
  const found = wanted.map(source => {
    if (plain) return fillString(items, source)
    return fillFrom({ ...deeper(filling), values: filling.values.about(source) }, items, name)
  })
  if (!schema.uniqueItems) return found
  return found.filter((item, i) => found.findIndex(other => JSON.stringify(other) === JSON.stringify(item)) === i)
}

function fillString({ format, minLength = 0, maxLength = Infinity }: OfflineSchema, text: string): string {
  const formatted = format === undefined ? undefined : formats[format]
  if (formatted !== undefined) return formatted
  const points = Array.from(text).slice(0, maxLength)
  return points.join('') + '.'.repeat(Math.max(0, minLength - points.length))
}

/** Placeholders for formats, which extraction cannot fill. */
const formats: { readonly [format: string]: string } = {
  'date-time': '1970-01-01T00:00:00Z',
  date: '1970-01-01',
  time: '00:00:00Z',
  duration: 'P0D',
  email: 'nobody@example.com',
  uri: 'https://example.com/',
  hostname: 'example.com',
  ipv4: '127.0.0.1',
  ipv6: '::1',
  uuid: '00000000-0000-4000-8000-000000000000',
}

function fillNumber(schema: OfflineSchema, value: number, step: 0 | 1): number {
  const { multipleOf = step } = schema
  const low = Math.max(schema.minimum ?? -Infinity, above(schema.exclusiveMinimum, step))
  const high = Math.min(schema.maximum ?? Infinity, below(schema.exclusiveMaximum, step))
  const inside = Math.min(Math.max(value, low), high)
  if (multipleOf === 0) return inside
  const up = Math.ceil(inside / multipleOf) * multipleOf
  return up <= high ? up : Math.floor(high / multipleOf) * multipleOf
}

const nearby = (bound: number) => Math.max(Math.abs(bound), 1) * 1e-9
const above = (bound = -Infinity, step: number) => (step === 1 ? Math.floor(bound) + 1 : bound + nearby(bound))
const below = (bound = Infinity, step: number) => (step === 1 ? Math.ceil(bound) - 1 : bound - nearby(bound))
