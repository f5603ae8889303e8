import { TidingsError } from '../../errors.ts'
import { shortId } from '../short-id.ts'

const minLength = 4
/** How many candidates an error lists. */
export const maxCandidates = 5

interface Named {
  readonly id: string
}

/**
 * The only candidate whose id ends with the text.
 * @param newest ids to suggest if there is none
 * @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS
 */
export function resolveId<T extends Named>(
  text: string,
  noun: string,
  find: () => readonly T[],
  newest: () => readonly string[],
): T {
  if (text.length < minLength)
    throw new TidingsError(
      'E_USAGE',
      `"${text}" is too short to identify a ${noun}: give at least the last ${minLength} characters of its id`,
    )
  const candidates = [...new Map(find().map(each => [each.id, each])).values()]
  if (candidates.length === 1) return candidates[0]!
  if (candidates.length === 0) {
    const others = shown(newest().slice(0, maxCandidates))
    const proposed = others.length === 0 ? '' : `; the newest: ${others.join(', ')}`
    throw new TidingsError('E_NOT_FOUND', `no ${noun} has an id that ends with "${text}"${proposed}`)
  }
  const ids = candidates.slice(0, maxCandidates).map(({ id }) => id)
  const more = candidates.length > maxCandidates ? ' and others' : ''
  throw new TidingsError('E_AMBIGUOUS', `"${text}" is ambiguous: ${shown(ids).join(', ')}${more}`)
}

/** Short ids, or full ids if two short ones are equal. */
function shown(ids: readonly string[]): readonly string[] {
  const short = ids.map(id => shortId(id))
  return new Set(short).size === ids.length ? short : ids
}
