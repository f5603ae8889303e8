import type { ErrorData } from '../errors.ts'
import type { EachStep } from './definition.ts'
import { invalid } from './failures.ts'
import type { Result } from './state.ts'

/** What an each() gives, as soon as that is certain. `results`: for each item its answer, or null while there is none. */
export function joined(
  { id, join }: EachStep,
  results: readonly (Result | null)[],
): { output: unknown[] } | { error: ErrorData } | undefined {
  const there = results.filter(each => each !== null)
  const failures = there.filter(each => 'error' in each)
  const outputs = there.flatMap(each => ('output' in each ? [each.output] : []))
  if (typeof join === 'object') {
    if (join.quorum > results.length)
      return { error: invalid(`${id}: a quorum of ${join.quorum} among ${results.length}`) }
    if (outputs.length >= join.quorum) return { output: outputs }
    return failures.length > results.length - join.quorum ? failures[0] : undefined
  }
  if (join === 'all' && failures.length > 0) return failures[0]
  if (there.length < results.length) return undefined
  return { output: join === 'settled' ? there : outputs }
}
