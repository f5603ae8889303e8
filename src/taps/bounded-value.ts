import { hash } from 'node:crypto'
import { jsonProblem } from '../json.ts'

/** Stands on the log for a value that is too large for it, or that is not JSON as the log takes it. */
export interface OmittedValue {
  readonly omitted: {
    /** Size as JSON. */
    readonly bytes: number
    /** SHA-256 of the JSON, in hex. */
    readonly sha256?: string
    readonly why: string
  }
}

/** What is recorded of a value from outside. */
export interface BoundedValue {
  /** The value itself, or what stands for it. */
  readonly value: unknown
  /** Size of what is recorded. */
  readonly bytes: number
}

export function boundedValue(value: unknown, maxBytes: number): BoundedValue {
  const json = JSON.stringify(value) ?? 'null'
  const bytes = Buffer.byteLength(json)
  const why = bytes > maxBytes ? `it is larger than ${maxBytes} bytes` : jsonProblem(value)
  if (why === undefined) return { value, bytes }
  const omitted: OmittedValue = { omitted: { bytes, sha256: hash('sha256', json), why } }
  return { value: omitted, bytes: 0 }
}

/** What stands for a value that turns out to be refused by the log, after redaction. */
export const refusedValue = (bytes: number): OmittedValue => ({ omitted: { bytes, why: 'the log refused it' } })
