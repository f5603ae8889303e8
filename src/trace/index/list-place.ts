import { TidingsError } from '../../errors.ts'

/* Where a list goes on that is sorted by a time and a position, both descending. */

/** What a list is sorted by. */
export interface ListPlace {
  readonly at: number
  readonly last: number
}

export const formatPlace = ({ at, last }: ListPlace): string => `${at.toString(36)}-${last.toString(36)}`

/** Before all entries without a text. @throws E_REQUEST_INVALID */
export function parsePlace(text: string | undefined): ListPlace {
  if (text === undefined) return { at: Number.MAX_SAFE_INTEGER, last: Number.MAX_SAFE_INTEGER }
  const [at, last] = (/^[0-9a-z]{1,11}-[0-9a-z]{1,11}$/.exec(text)?.[0].split('-') ?? []).map(part =>
    Number.parseInt(part, 36),
  )
  if (Number.isSafeInteger(at) && Number.isSafeInteger(last)) return { at: at!, last: last! }
  throw new TidingsError(
    'E_REQUEST_INVALID',
    `before: ${JSON.stringify(text.slice(0, 64))} is not the "next" of a page of this list`,
  )
}
