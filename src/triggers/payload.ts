import { textOf, TidingsError } from '../errors.ts'
import type { EventType } from '../event.ts'
import { parseExactly } from '../json-text.ts'
import { validateInput } from '../schema.ts'

/* Payloads of messages: JSON, else text, else bytes. */

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Undefined if the bytes are not UTF-8, or contain a NUL. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

export function parseJsonOrText(text: string): unknown {
  try {
    return parseExactly(text)
  } catch {
    return text
  }
}

/** What the schema of the type makes of JSON or text. @throws E_EVENT_INVALID */
export async function typedPayload(text: string, { type, schema }: EventType): Promise<unknown> {
  try {
    const value = parseJsonOrText(text)
    const asJson = validateInput(schema, value, 'E_EVENT_INVALID', type)
    // A schema of strings accepts `4711` as a string.
    return await asJson.catch((error: unknown) => {
      if (value === text || !(error instanceof TidingsError)) throw error
      return validateInput(schema, text, 'E_EVENT_INVALID', type).catch(() => {
        throw error
      })
    })
  } catch (error) {
    throw schemaFault(type, error)
  }
}

/** What the schema of the type makes of a value. @throws E_EVENT_INVALID */
export async function typedValue(value: unknown, { type, schema }: EventType): Promise<unknown> {
  try {
    return await validateInput(schema, value, 'E_EVENT_INVALID', type)
  } catch (error) {
    throw schemaFault(type, error)
  }
}

const schemaFault = (type: string, error: unknown) =>
  error instanceof TidingsError
    ? error
    : new TidingsError('E_EVENT_INVALID', `${type}: its schema threw: ${textOf(error)}`, { cause: error })
