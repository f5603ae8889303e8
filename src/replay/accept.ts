import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { textOf, TidingsError } from '../errors.ts'
import type { Cluster } from './cluster.ts'

/*
 * The divergences that are meant, in a file beside the code that brought them:
 *
 *     { "accepted": [{ "signature": "3f2a9c01d4", "what": "writer: agent.task.completed changed at data.output" }] }
 */

/** Signatures of a file. @throws E_NOT_FOUND, E_ACCEPT_INVALID */
export function readAccepted(path: string): Set<string> {
  if (!existsSync(path)) throw new TidingsError('E_NOT_FOUND', `there is no file ${path}; --update makes it`)
  try {
    const { accepted } = JSON.parse(readFileSync(path, 'utf8')) as { accepted: { signature: string }[] }
    return new Set(accepted.map(({ signature }) => signature))
  } catch (cause) {
    throw new TidingsError('E_ACCEPT_INVALID', `${path}: ${textOf(cause)}`, { cause })
  }
}

/** Accepts these, and no others. */
export function writeAccepted(path: string, clusters: readonly Cluster[]): void {
  const accepted = clusters.map(({ signature, title }) => ({ signature, what: title }))
  writeFileSync(path, `${JSON.stringify({ accepted }, null, 2)}\n`)
}
