import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { expect } from 'vitest'
import { parse } from 'yaml'

/* The official conformance suite, run as a requirement of one revision, and what is known to fail. */

export const revisions = ['2025-11-25', '2026-07-28'] as const
export type Revision = (typeof revisions)[number]

/** The outcome of each scenario, by its name. Those that are not required are extensions, or newer than the revision. */
export interface SuiteOutcome {
  readonly passed: readonly string[]
  readonly failed: readonly string[]
  readonly required: readonly string[]
  readonly output: string
}

const package_ = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'))
const main = join(package_, 'dist/index.js')

/** Runs all scenarios of a revision. `args`: of the suite, such as `client --command …`. */
export async function runSuite(
  leg: 'client' | 'server',
  revision: Revision,
  args: readonly string[],
  folder: string,
): Promise<SuiteOutcome> {
  const all = [main, leg, ...args, '--requirements', revision, '--output-dir', folder]
  const output = await new Promise<string>(
    resolve =>
    execFile(process.execPath, all, { cwd: folder, maxBuffer: 64 * 1024 * 1024 }, (_, out, err) => resolve(stripVTControlCharacters(`${out}${err}`))), // biome-ignore format: one call
  )
  const lines = [...output.matchAll(/^([✓✗]) (\S+): \d+ passed, \d+ failed/gm)]
  const of = (sign: string) => lines.flatMap(([, found, name]) => (found === sign ? [name!] : [])).toSorted()
  const listed = parse(readFileSync(join(package_, 'requirements', `${revision}.yaml`), 'utf8')) as Record<
    string,
    string[]
  >
  return { passed: of('✓'), failed: of('✗'), required: listed[leg]!, output }
}

type Expectations = Readonly<Record<'client' | 'server', Readonly<Record<Revision, Readonly<Record<string, string>>>>>>

/** What is known to fail, each with the reason. It only shrinks: a scenario that passes must be removed. */
const expectations = (): Expectations =>
  JSON.parse(readFileSync(join(import.meta.dirname, 'expected-failures.json'), 'utf8')) as Expectations

/** Fails for a scenario that fails unexpectedly, and for one that passes although it is expected to fail. */
export function assertExpected(
  leg: 'client' | 'server',
  revision: Revision,
  { passed, failed, required, output }: SuiteOutcome,
): void {
  const known = Object.keys(expectations()[leg][revision])
  const ran = new Set([...passed, ...failed])
  expect({ ran: ran.size > 0, missing: required.filter(name => !ran.has(name)) }, output.slice(-4_000)).toEqual({ ran: true, missing: [] }) // biome-ignore format: one line
  const figures = (names: readonly string[]) => names.filter(name => required.includes(name)).length
  const extra = ran.size - figures([...ran])
  console.log(`MCP conformance, ${leg}, ${revision}: ${figures(passed)} of ${required.length} required scenarios pass, ${passed.length - figures(passed)} of ${extra} others`) // biome-ignore format: one line
  expect(
    failed.filter(name => !known.includes(name)),
    output.slice(-20_000),
  ).toEqual([])
  expect(
    passed.filter(name => known.includes(name)),
    'remove these from expected-failures.json',
  ).toEqual([])
}
