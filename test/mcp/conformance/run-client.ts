import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { runSuite, suiteFolder, type Revision } from './suite.ts'

/* The conformance suite for clients, with the requirements of one revision, and what is expected to fail: `client` in expected-REVISION.yml. */

/** How each scenario ended. Those that are not required are extensions, or newer than the revision. */
export interface ClientRun {
  readonly passed: readonly string[]
  readonly failed: readonly string[]
  readonly required: readonly string[]
  readonly output: string
}

/** The list `client` of a YAML file of the suite. */
function listIn(file: string): string[] {
  const [, list = ''] = /^client:\n((?: +.*\n|\n)*)/m.exec(readFileSync(file, 'utf8')) ?? []
  return [...list.matchAll(/^ +- (\S+)$/gm)].map(([, name]) => name!)
}

/** Below the timeout of the test, so that what hangs is named. */
const suiteTimeoutMs = 220_000

/** Runs all scenarios of a revision. `command`: the client. */
export async function runClientSuite(revision: Revision, command: string, folder: string): Promise<ClientRun> {
  const args = [
    'client',
    '--command',
    command,
    '--timeout',
    '60000',
    '--requirements',
    revision,
    '--output-dir',
    folder,
  ]
  const { output, isStopped } = await runSuite(args, folder, suiteTimeoutMs)
  if (isStopped) throw new Error(`the conformance suite of clients did not end within ${suiteTimeoutMs / 1_000} s:\n${output}`) // biome-ignore format: one line
  const ended = [...output.matchAll(/^([✓✗]) (\S+): \d+ passed, \d+ failed/gm)]
  const named = (sign: string) => ended.flatMap(([, found, name]) => (found === sign ? [name!] : [])).toSorted()
  const required = listIn(join(suiteFolder, 'requirements', `${revision}.yaml`))
  return { passed: named('✓'), failed: named('✗'), required, output }
}

/** Fails for a scenario that fails unexpectedly, for one that passes although it is expected to fail, and for one that did not run. */
export function assertAsExpected(revision: Revision, { passed, failed, required, output }: ClientRun): void {
  const known = listIn(join(import.meta.dirname, `expected-${revision}.yml`))
  const ran = [...passed, ...failed]
  const countRequired = (names: readonly string[]) => names.filter(name => required.includes(name)).length
  const others = ran.length - countRequired(ran)
  console.log(`MCP conformance of the client, ${revision}: ${countRequired(passed)} of ${required.length} required scenarios pass, ${passed.length - countRequired(passed)} of ${others} others`) // biome-ignore format: one line
  const unexpected = {
    failed: failed.filter(name => !known.includes(name)),
    passed: passed.filter(name => known.includes(name)),
    missing: required.filter(name => !ran.includes(name)),
  }
  if (Object.values(unexpected).some(names => names.length > 0)) console.log(output)
  expect(unexpected).toEqual({ failed: [], passed: [], missing: [] })
}
