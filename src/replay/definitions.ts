import { diffJson } from './compare.ts'
import type { Divergence } from './divergence.ts'
import type { ReplayOutcome } from './replayer.ts'
import type { Definitions } from './messages.ts'

/** Reads a document of the recorded log. */
export type ReadDocument = (key: string) => Promise<string | undefined>

/** Replaces a changed definition key of a model call by what changed in the instructions, tools and output. */
export async function explainDefinitions(
  outcome: ReplayOutcome,
  now: Definitions,
  document: ReadDocument,
): Promise<ReplayOutcome> {
  const known = new Map<string, Promise<unknown>>()
  const then = (key: string) => {
    if (!known.has(key)) known.set(key, readJson(document, key))
    return known.get(key)!
  }
  return { ...outcome, divergences: await Promise.all(outcome.divergences.map(each => explain(each, now, then))) }
}

async function explain(
  divergence: Divergence,
  now: Definitions,
  then: (key: string) => Promise<unknown>,
): Promise<Divergence> {
  const changed = divergence.changes.find(({ path }) => path.join('.') === 'data.definition')
  if (!changed) return divergence
  const [before, after] = [await then(String(changed.before)), now[String(changed.after)]]
  if (before === undefined || after === undefined) return divergence
  const changes = diffJson(before, after).map(change => ({ ...change, path: ['definition', ...change.path] }))
  return { ...divergence, changes: [...divergence.changes.filter(each => each !== changed), ...changes] }
}

async function readJson(document: ReadDocument, key: string): Promise<unknown> {
  const json = await document(key)
  return json === undefined ? undefined : JSON.parse(json)
}
