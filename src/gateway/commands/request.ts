import { TidingsError } from '../../errors.ts'
import type { Schema } from '../../schema.ts'
import { parsedBy } from '../../schema.ts'
import type { GatewayContext } from '../context.ts'
import { readJsonBody } from './body.ts'

const maxKeyLength = 256

/** The header `Idempotency-Key`. @throws E_REQUEST_INVALID */
export function requestKeyOf({ req }: GatewayContext): string | undefined {
  const key = req.header('idempotency-key')
  if (key === undefined || (key !== '' && key.length <= maxKeyLength)) return key
  throw new TidingsError('E_REQUEST_INVALID', `the header Idempotency-Key must have 1 to ${maxKeyLength} characters`)
}

/** The JSON body as the schema has it. @throws 415, E_REQUEST_TOO_LARGE, E_REQUEST_INVALID with the path of the first fault */
export async function bodyOf<T>(c: GatewayContext, schema: Schema<T>, maxBytes: number): Promise<T> {
  const body = await readJsonBody(c.env.incoming, maxBytes)
  return parsedBy(schema, body, { code: 'E_REQUEST_INVALID', what: 'the body of the request' })
}
