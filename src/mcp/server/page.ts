import { invalidRequest } from './protocol-errors.ts'

const pageSize = 500

/** One page of a list. A cursor is the name of what came before, so that it stays valid while the list changes. @throws E_REQUEST_INVALID */
export function pageOf<T extends { readonly name: string }>(all: readonly T[], cursor: string | undefined) {
  const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString()
  const last = after === undefined ? -1 : all.findIndex(({ name }) => name === after)
  if (after !== undefined && last < 0)
    throw invalidRequest('the cursor is not one of this list', 'Read the list from its beginning.')
  const items = all.slice(last + 1, last + 1 + pageSize)
  const isLast = last + 1 + pageSize >= all.length
  return { items, ...(!isLast && { nextCursor: Buffer.from(items.at(-1)!.name).toString('base64url') }) }
}
