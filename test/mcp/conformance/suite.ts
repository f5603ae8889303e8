import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

/** The folder of the official conformance suite. */
export const suiteFolder = dirname(
  createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'),
)

export const revisions = ['2026-07-28', '2025-11-25'] as const
export type Revision = (typeof revisions)[number]

/** How the suite ended, and what it printed. `isStopped`: it did not end within `timeoutMs`. */
export interface SuiteRun {
  readonly code: number
  readonly isStopped: boolean
  readonly output: string
}

/** Runs the suite as a process. `timeoutMs`: default without limit. */
export const runSuite = (args: readonly string[], cwd: string, timeoutMs = 0): Promise<SuiteRun> =>
  new Promise(resolve => {
    const options = { cwd, maxBuffer: 64 * 1024 * 1024, timeout: timeoutMs, killSignal: 'SIGKILL' as const }
    execFile(process.execPath, [join(suiteFolder, 'dist/index.js'), ...args], options, (error, stdout, stderr) =>
      resolve({
        code: error ? Number(error.code ?? 1) : 0,
        isStopped: error?.killed ?? false,
        output: stripVTControlCharacters(stdout + stderr),
      }),
    )
  })
