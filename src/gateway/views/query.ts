import { z } from 'zod'
import { parsedBy } from '../../schema.ts'
import type { GatewayContext } from '../context.ts'
import { singleValue } from '../streams/stream-request.ts'

/** The parameters of a request as the schema has them, each given at most once. @throws E_REQUEST_INVALID */
export function readQuery<T>({ req }: GatewayContext, schema: z.ZodType<T>): T {
  const given = Object.entries(req.queries()).map(([name, values]) => [name, singleValue(name, values)])
  return parsedBy(schema, Object.fromEntries(given), { code: 'E_REQUEST_INVALID', what: 'the parameters' })
}

/** How many entries an answer has at most. */
export const limitUpTo = (max: number, fallback: number) => z.coerce.number().int().min(1).max(max).default(fallback)
