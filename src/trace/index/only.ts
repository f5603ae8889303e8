import { TidingsError } from '../../errors.ts'
import { shortId } from '../short-id.ts'

const minLength = 4
/** How many candidates an error lists. */
export const shownCandidates = 5

/** Something that an id names. */
interface Named {
  readonly id: string
}

/**
 * The one thing that is meant by the end of its id. `newest`: ids that are proposed where there is none.
 * @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS
 */
export function only<T extends Named>(
  text: string,
  noun: string,
  find: () => readonly T[],
  newest: () => readonly string[],
): T {
  if (text.length < minLength)
    throw new TidingsError(
      'E_USAGE',
      `"${text}" is too short for the end of an id (${noun}): give at least its last ${minLength} characters`,
    )
  const candidates = [...new Map(find().map(each => [each.id, each])).values()]
  if (candidates.length === 1) return candidates[0]!
  if (candidates.length === 0) {
    const others = shown(newest().slice(0, shownCandidates))
    const proposed = others.length === 0 ? '' : `; the newest: ${others.join(', ')}`
    throw new TidingsError('E_NOT_FOUND', `no ${noun} has an id that ends with "${text}"${proposed}`)
  }
  const ids = candidates.slice(0, shownCandidates).map(({ id }) => id)
  const more = candidates.length > shownCandidates ? ' and others' : ''
  throw new TidingsError('E_AMBIGUOUS', `"${text}" may be any of ${shown(ids).join(', ')}${more}`)
}

/** Short ids; whole ones where the short ones are the same. */
function shown(ids: readonly string[]): readonly string[] {
  const short = ids.map(shortId)
  return new Set(short).size === ids.length ? short : ids
}
