import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Before all tests: a folder where Node keeps what it compiled of our sources. Most tests start processes, or the
 * threads of an embedded log, which would spend the better part of their time on reading the same files again.
 */
export default async function setup() {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-compiled-'))
  process.env.NODE_COMPILE_CACHE = folder
  // The last workers may still write what they compiled.
  return () => rm(folder, { recursive: true, force: true, maxRetries: 20 })
}
