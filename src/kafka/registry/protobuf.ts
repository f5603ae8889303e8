import type * as Protobuf from 'protobufjs'
import { textOf, TidingsError } from '../../errors.ts'
import type { Json } from '../../json.ts'
import { loadPackage } from '../load-package.ts'
import type { Codec, RegisteredSchema } from './codec.ts'
import { readMessagePath, writeMessagePath } from './wire-format.ts'

/*
 * Protobuf as JSON: names of fields in lowerCamelCase, 64-bit integers as texts, enums by name, bytes as Base64, as in the JSON mapping of
 * Protobuf; a field that is not set has its default. Timestamps and the like are ordinary messages: `{ seconds, nanos }`.
 */

const toJson = { longs: String, enums: String, bytes: String, defaults: true } as const

export async function protobufCodec(schema: RegisteredSchema): Promise<Codec> {
  const protobuf = await loadPackage(
    async () => (await import('protobufjs')).default as typeof Protobuf,
    'protobufjs',
    'Protobuf',
  )
  const file = parsed(protobuf, schema)
  return {
    contentType: 'application/protobuf',
    decode: bytes => {
      const { path, payload } = readMessagePath(bytes)
      const type = file.at(path)
      try {
        return JSON.parse(JSON.stringify(type.toObject(type.decode(payload), toJson))) as Json
      } catch (cause) {
        throw invalid(`the bytes are no ${type.name}: ${textOf(cause)}`, cause)
      }
    },
    encode: (value, message) => {
      const { type, path } = file.find(message)
      const problem = problemOf(protobuf, type, value)
      if (problem !== undefined) throw invalid(`the value is no ${type.name}: ${problem}`)
      try {
        const encoded = type.encode(type.fromObject(value as { [key: string]: unknown })).finish()
        return Buffer.concat([writeMessagePath(path), encoded])
      } catch (cause) {
        throw invalid(`the value is no ${type.name}: ${textOf(cause)}`, cause)
      }
    },
  }
}

interface SchemaFile {
  at(path: readonly number[]): Protobuf.Type
  /** The message type with this name, or the first one. */
  find(name: string | undefined): { type: Protobuf.Type; path: number[] }
}

function parsed(protobuf: typeof Protobuf, { text, references }: RegisteredSchema): SchemaFile {
  try {
    const root = new protobuf.Root()
    for (const { text } of references) addFile(protobuf, root, text)
    addFile(protobuf, root, text)
    root.resolveAll()
    // The places of message types are those in this file, so the files that it imports must not be in the way.
    const alone = new protobuf.Root()
    const { package: name } = protobuf.parse(text, alone)
    const messages = [...messageTypes(protobuf, name ? (alone.lookup(name) as Protobuf.Namespace) : alone)]
    return {
      at: path => {
        const found = messages.find(each => each.path.join() === path.join())
        if (!found) throw invalid(`the schema has no message type at the place ${path.join('.')}`)
        return root.lookupType(found.name)
      },
      find: wanted => {
        const found = wanted === undefined ? messages[0] : messages.find(({ name }) => isNamed(name, wanted))
        if (!found) throw invalid(`the schema has no message type ${wanted ?? ''}`)
        return { type: root.lookupType(found.name), path: found.path }
      },
    }
  } catch (cause) {
    throw invalid(`the Protobuf schema cannot be read: ${textOf(cause)}`, cause)
  }
}

const isNamed = (fullName: string, wanted: string) => fullName === `.${wanted}` || fullName.endsWith(`.${wanted}`)

/** Definitions that every installation of Protobuf has, such as `google/protobuf/timestamp.proto`, are part of the package. */
function addFile(protobuf: typeof Protobuf, root: Protobuf.Root, text: string): void {
  const { imports = [] } = protobuf.parse(text, root)
  for (const name of imports) {
    const common = protobuf.common.get(name)
    if (common?.nested) root.addJSON(common.nested)
  }
}

function* messageTypes(
  { Type }: typeof Protobuf,
  within: Protobuf.NamespaceBase,
  above: readonly number[] = [],
): Generator<{ name: string; path: number[] }> {
  const types = within.nestedArray.filter(each => each instanceof Type)
  for (const [i, type] of types.entries()) {
    const path = [...above, i]
    yield { name: type.fullName, path }
    yield* messageTypes({ Type } as typeof Protobuf, type, path)
  }
}

/** `fromObject` would drop fields that the schema does not have. */
function problemOf(protobuf: typeof Protobuf, type: Protobuf.Type, value: unknown, at = ''): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${at || 'it'} is no object`
  for (const [name, member] of Object.entries(value)) {
    const field = type.fields[name]
    if (!field) return `it has no field ${at}${name}`
    const inner = field.resolvedType
    if (!(inner instanceof protobuf.Type) || member === null) continue
    const members: unknown[] = field.repeated
      ? (member as unknown[])
      : field.map
        ? Object.values(member as object)
        : [member]
    for (const each of members) {
      const problem = problemOf(protobuf, inner, each, `${at}${name}.`)
      if (problem !== undefined) return problem
    }
  }
  return undefined
}

const invalid = (detail: string, cause?: unknown) => new TidingsError('E_RECORD_INVALID', detail, { cause })
