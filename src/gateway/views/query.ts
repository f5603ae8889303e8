import { z } from 'zod'
import { parsedBy } from '../../schema.ts'
import { momentOf, momentText, typePattern } from '../../tasks/operation-request.ts'
import { hasWords } from '../../trace/index/words.ts'
import type { GatewayContext } from '../context.ts'
import { singleValue } from '../streams/stream-request.ts'

/**
 * The parameters of a request as the schema has them, each given at most once, except for the patterns in `type`. @throws E_REQUEST_INVALID
 */
export function readQuery<T>({ req }: GatewayContext, schema: z.ZodType<T>): T {
  const given = Object.entries(req.queries()).map(([name, values]) => [
    name,
    name === 'type' ? values : singleValue(name, values),
  ])
  return parsedBy(schema, Object.fromEntries(given), { code: 'E_REQUEST_INVALID', what: 'the parameters' })
}

/** How many entries an answer has at most. */
export const limitUpTo = (max: number, fallback: number) => z.coerce.number().int().min(1).max(max).default(fallback)

/** A time, as ms since the epoch. */
export const moment = momentText.transform(text => momentOf(text, Date.now())).optional()
export const shortText = z.string().min(1).max(256).optional()
export const searchText = z
  .string()
  .min(1)
  .max(256)
  .refine(hasWords, 'must have a word, or the beginning of one followed by *')
  .optional()
/** Types or patterns: the parameter may be repeated. */
export const types = z.array(typePattern).max(64).optional()
export const cursor = z.string().min(1).max(2_048).optional()
