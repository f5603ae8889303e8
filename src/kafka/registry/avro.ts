import type * as Avsc from 'avsc'
import { textOf, TidingsError } from '../../errors.ts'
import type { Json } from '../../json.ts'
import { loadPackage } from '../load-package.ts'
import type { Codec, RegisteredSchema } from './codec.ts'

/*
 * Avro as JSON: a `long` that a JavaScript number cannot hold, and every `decimal`, is a text; `bytes` and `fixed` are Base64; the value of
 * a union is that of its branch, unless JSON cannot tell the branches apart: then it is `{ BRANCH: value }`.
 */

type AvroModule = typeof Avsc

export async function avroCodec({ text, references }: RegisteredSchema): Promise<Codec> {
  const avsc = await loadPackage(async () => (await import('avsc')).default as AvroModule, 'avsc', 'Avro')
  const options = optionsFor(avsc)
  for (const reference of references) typeOf(avsc, reference.text, options)
  const type = typeOf(avsc, text, options)
  return {
    contentType: 'application/avro',
    decode: bytes => {
      try {
        return JSON.parse(JSON.stringify(type.fromBuffer(bytes), withoutSpecialNumbers)) as Json
      } catch (cause) {
        throw new TidingsError('E_RECORD_INVALID', `the bytes do not match the Avro schema: ${textOf(cause)}`, {
          cause,
        })
      }
    },
    encode: value => {
      const problem = problemOf(type, value)
      if (problem !== undefined)
        throw new TidingsError('E_RECORD_INVALID', `the value does not match the Avro schema: ${problem}`)
      return type.toBuffer(value)
    },
  }
}

type Options = Partial<Avsc.ForSchemaOptions> & { registry: Record<string, Avsc.Type> }

function typeOf({ Type }: AvroModule, text: string, options: Options): Avsc.Type {
  try {
    return Type.forSchema(JSON.parse(text) as Avsc.Schema, options)
  } catch (cause) {
    throw new TidingsError('E_RECORD_INVALID', `the Avro schema cannot be read: ${textOf(cause)}`, { cause })
  }
}

function problemOf(type: Avsc.Type, value: unknown): string | undefined {
  let problem: string | undefined
  const errorHook = (path: string[], found: unknown, expected: Avsc.Type) => {
    problem ??= `${path.join('.') || 'it'} is ${JSON.stringify(found)?.slice(0, 80) ?? 'missing'}, not ${expected.typeName}`
  }
  const isValid = type.isValid(value, { errorHook, noUndeclaredFields: true })
  return isValid ? undefined : (problem ?? 'it has another form')
}

/** JSON has neither NaN nor infinities: they become texts, as in the JSON of Protobuf. */
const withoutSpecialNumbers = (_: string, value: unknown) =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value

function optionsFor(avsc: AvroModule): Options {
  const { types } = avsc
  const exactLong = types.LongType.__with({
    fromBuffer: (bytes: Buffer) => {
      const long = bytes.readBigInt64LE()
      const number = Number(long)
      return Number.isSafeInteger(number) ? number : String(long)
    },
    toBuffer: (value: number | string) => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64LE(BigInt(value))
      return bytes
    },
    fromJSON: (value: unknown) => value,
    toJSON: (value: unknown) => value,
    isValid: (value: unknown) => Number.isSafeInteger(value) || (typeof value === 'string' && isLong(value)),
    compare: (a: number | string, b: number | string) => (BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0),
  })

  class Base64 extends types.LogicalType {
    override _fromValue = (bytes: Buffer) => bytes.toString('base64')
    override _toValue = (value: unknown) =>
      typeof value === 'string' && base64.test(value) ? Buffer.from(value, 'base64') : undefined
  }

  class Decimal extends types.LogicalType {
    readonly #scale: number
    constructor(schema: Avsc.Schema, options: unknown) {
      super(schema, options)
      this.#scale = Number((schema as { scale?: number }).scale ?? 0)
    }
    override _fromValue = (bytes: Buffer) => decimalText(bytes, this.#scale)
    override _toValue = (value: unknown) => decimalBytes(value, this.#scale, sizeOf(this))
  }

  return {
    registry: { long: exactLong },
    logicalTypes: { base64: Base64, decimal: Decimal },
    typeHook: (schema, options) => {
      const plain = typeof schema === 'string' ? { type: schema } : (schema as { type?: unknown; logicalType?: string })
      if ((plain.type !== 'bytes' && plain.type !== 'fixed') || plain.logicalType !== undefined) return undefined
      return avsc.Type.forSchema({ ...plain, logicalType: 'base64' } as Avsc.Schema, options)
    },
  }
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/
const isLong = (text: string) => /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)

/** Of `fixed`; undefined for `bytes`. */
const sizeOf = (type: Avsc.types.LogicalType) => (type.underlyingType as { size?: number }).size

/** A big-endian two's complement, as text with `scale` digits after the point. */
function decimalText(bytes: Buffer, scale: number): string {
  const unscaled = bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const sign = unscaled < 0n ? '-' : ''
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** Undefined if the value is no decimal number with at most `scale` digits after the point. */
function decimalBytes(value: unknown, scale: number, size?: number): Buffer | undefined {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(value)) ?? []
  if (whole === undefined || fraction.length > scale) return undefined
  const unscaled = BigInt(`${sign}${whole}${fraction.padEnd(scale, '0')}`)
  let length = 1
  while (BigInt.asIntN(length * 8, unscaled) !== unscaled) length++
  if (size !== undefined && length > size) return undefined
  const bytes = size ?? length
  return Buffer.from(
    BigInt.asUintN(bytes * 8, unscaled)
      .toString(16)
      .padStart(bytes * 2, '0'),
    'hex',
  )
}
