import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'

/*
 * Looks for tests that fail by chance: `npm run flaky`. Every core is kept busy. The test files that start processes or wait for time
 * run seven times, then the whole suite runs three times, so that these files run ten times in all. Each red test is printed with
 * its output, and all of them at the end.
 *
 *   npm run flaky -- --rounds 2 --suite 0 src/cli/cli.test.ts     only these files, two rounds, no whole suite
 *   npm run flaky -- --idle                                       without the other work
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    suite: { type: 'string', default: '3' },
    idle: { type: 'boolean', default: false },
  },
})

interface Report {
  testResults: {
    name: string
    status: string
    message: string
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[]
  }[]
}

interface Failure {
  readonly test: string
  readonly output: string
}

const root = join(import.meta.dirname, '..')
/** What a test file imports or calls if it starts processes or waits for time. */
const waits =
  /node:child_process|worker_threads|setTimeout|setInterval|\buntil\(|onEveryBus|\/lib\/(?:cli|nats|world)\.ts/

const folder = mkdtempSync(join(tmpdir(), 'tidings-flaky-'))
const failures: Failure[] = []
const burners = values.idle ? [] : Array.from({ length: availableParallelism() }, burner)
try {
  const files =
    positionals.length > 0 ? positionals : globSync('{src,test,examples}/**/*.test.ts', { cwd: root }).filter(usesTime)
  const rounds = Number(values.rounds)
  const suites = Number(values.suite)
  for (let round = 1; round <= rounds; round++)
    await runTests(`files that wait, round ${round} of ${rounds}`, files.toSorted())
  for (let round = 1; round <= suites; round++) await runTests(`whole suite, round ${round} of ${suites}`, [])
} finally {
  await Promise.all(burners.map(worker => worker.terminate()))
  rmSync(folder, { recursive: true, force: true })
}
const red = new Set(failures.map(({ test }) => test))
console.log(
  red.size === 0
    ? '\nno test was red'
    : `\nred tests: ${red.size}, in ${failures.length} runs:\n${[...red].join('\n')}`,
)
process.exitCode = red.size === 0 ? 0 : 1

function usesTime(file: string): boolean {
  return waits.test(readFileSync(join(root, file), 'utf8'))
}

/** Keeps one core busy. */
function burner(): Worker {
  return new Worker('for (;;);', { eval: true })
}

async function runTests(run: string, files: readonly string[]): Promise<void> {
  const report = join(folder, 'report.json')
  rmSync(report, { force: true })
  const begin = performance.now()
  const args = [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    ...files,
    '--reporter=json',
    `--outputFile=${report}`,
  ]
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (output += text))
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  const found = failuresIn(report, code, output)
  failures.push(...found)
  const seconds = ((performance.now() - begin) / 1_000).toFixed(0)
  console.log(`${found.length === 0 ? 'green' : 'RED  '}  ${seconds.padStart(4)} s  ${run}`)
  for (const { test, output: why } of found) console.log(`       ${test}\n${why.replace(/^/gm, '         ')}`)
}

function failuresIn(file: string, code: number | null, output: string): Failure[] {
  const found: Failure[] = []
  try {
    for (const { name, status, message, assertionResults } of (JSON.parse(readFileSync(file, 'utf8')) as Report)
      .testResults) {
      const failed = assertionResults.filter(each => each.status === 'failed')
      for (const { fullName, failureMessages } of failed)
        found.push({ test: `${name}: ${fullName}`, output: failureMessages.join('\n') })
      // A file that does not load has no tests.
      if (status === 'failed' && failed.length === 0) found.push({ test: name, output: message })
    }
  } catch {
    // Without a report, the output says what happened.
  }
  // An unhandled error fails a run without failing a test.
  if (code !== 0 && found.length === 0) found.push({ test: `exit code ${code}`, output: output.slice(-20_000) })
  return found
}
