import { TidingsError } from '../../errors.ts'

/*
 * The wire format of Confluent: a zero byte, the id of the schema in four bytes, the data. Protobuf has the path to its message type
 * before the data, as zigzag varints: the number of steps, then each step; a single zero byte stands for the first message.
 * Source: docs.confluent.io, "Wire format".
 */

const magic = 0
const headerBytes = 5

export interface Framed {
  readonly schemaId: number
  readonly payload: Buffer
}

/** @throws E_RECORD_INVALID */
export function readFrame(bytes: Buffer): Framed {
  if (bytes.length < headerBytes || bytes[0] !== magic)
    throw new TidingsError('E_RECORD_INVALID', 'the bytes are not in the wire format of a schema registry')
  return { schemaId: bytes.readUInt32BE(1), payload: bytes.subarray(headerBytes) }
}

export function writeFrame(schemaId: number, ...payload: Uint8Array[]): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32BE(schemaId, 1)
  return Buffer.concat([header, ...payload])
}

/** The path to the message type, such as `[1, 0]`: the first type within the second. @throws E_RECORD_INVALID */
export function readMessagePath(bytes: Buffer): { path: number[]; payload: Buffer } {
  let at = 0
  const next = (): number => {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined) break
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
    throw new TidingsError('E_RECORD_INVALID', 'the path to the Protobuf message is cut off')
  }
  const steps = next()
  if (steps < 0 || steps > bytes.length)
    throw new TidingsError('E_RECORD_INVALID', 'the path to the Protobuf message is not valid')
  const path = steps === 0 ? [0] : Array.from({ length: steps }, next)
  return { path, payload: bytes.subarray(at) }
}

export function writeMessagePath(path: readonly number[]): Buffer {
  if (path.length === 1 && path[0] === 0) return Buffer.of(0)
  return Buffer.from([path.length, ...path].flatMap(varint))
}

/** A zigzag varint of a number from 0. */
function varint(number: number): number[] {
  const bytes: number[] = []
  let rest = number * 2
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return [...bytes, rest]
}
