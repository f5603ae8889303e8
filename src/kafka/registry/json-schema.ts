import type { Ajv } from 'ajv'
import { textOf, TidingsError } from '../../errors.ts'
import type { Json } from '../../json.ts'
import { parseExactly } from '../../json-text.ts'
import { loadPackage } from '../load-package.ts'
import type { Codec, RegisteredSchema } from './codec.ts'

/** What is written must match the schema. What is read matched it when it was written: the type of the event checks it. */
export async function jsonSchemaCodec(schema: RegisteredSchema): Promise<Codec> {
  let checks: Promise<(value: unknown) => string | undefined> | undefined
  return {
    contentType: 'application/json',
    decode: bytes => {
      try {
        return parseExactly(bytes.toString()) as Json
      } catch (cause) {
        throw new TidingsError('E_RECORD_INVALID', `the data is not JSON: ${textOf(cause)}`, { cause })
      }
    },
    encode: async value => {
      checks ??= checkOf(schema)
      const problem = (await checks)(value)
      if (problem !== undefined)
        throw new TidingsError('E_RECORD_INVALID', `the value does not match the JSON Schema: ${problem}`)
      return Buffer.from(JSON.stringify(value))
    },
  }
}

async function checkOf({ text, references }: RegisteredSchema): Promise<(value: unknown) => string | undefined> {
  try {
    const schema = JSON.parse(text) as { $schema?: string }
    const ajv = await loadPackage(() => ajvFor(schema.$schema ?? ''), 'ajv', 'JSON Schema')
    for (const { name, text } of references) ajv.addSchema(JSON.parse(text) as object, name)
    const validate = ajv.compile(schema)
    return value => (validate(value) ? undefined : ajv.errorsText(validate.errors, { dataVar: 'it' }))
  } catch (cause) {
    if (cause instanceof TidingsError) throw cause
    throw new TidingsError('E_RECORD_INVALID', `the JSON Schema cannot be read: ${textOf(cause)}`, { cause })
  }
}

/** Formats and unknown keywords are annotations, as the specification has them. */
const options = { strict: false, validateFormats: false } as const

async function ajvFor(draft: string): Promise<Ajv> {
  if (draft.includes('2020-12')) return new (await import('ajv/dist/2020.js')).Ajv2020(options)
  if (draft.includes('2019-09')) return new (await import('ajv/dist/2019.js')).Ajv2019(options)
  return new (await import('ajv')).Ajv(options)
}
