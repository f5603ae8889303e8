import { diffJson } from './compare.ts'
import type { Divergence } from './divergence.ts'
import type { ReplayOutcome } from './replayer.ts'
import type { Definitions } from './messages.ts'

export type ReadDocument = (key: string) => Promise<string | undefined>

/** Replaces a changed definition key of a model call by what changed in the instructions, tools and output. */
export async function explainDefinitions(
  outcome: ReplayOutcome,
  now: Definitions,
  document: ReadDocument,
): Promise<ReplayOutcome> {
  const known = new Map<string, string | undefined>()
  const explain = async (divergence: Divergence): Promise<Divergence> => {
    const changed = divergence.changes.find(({ path }) => path.join('.') === 'data.definition')
    if (!changed) return divergence
    const [key, after] = [String(changed.before), now[String(changed.after)]]
    if (!known.has(key)) known.set(key, await document(key))
    const before = known.get(key)
    if (before === undefined || after === undefined) return divergence
    const changes = diffJson(JSON.parse(before), after).map(each => ({ ...each, path: ['definition', ...each.path] }))
    return { ...divergence, changes: [...divergence.changes.filter(each => each !== changed), ...changes] }
  }
  return { ...outcome, divergences: await Array.fromAsync(outcome.divergences, explain) }
}
