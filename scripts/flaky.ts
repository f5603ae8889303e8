import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, homedir, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'

/*
 * Looks for tests that fail by chance: `npm run flaky`. Every core is kept busy. The test files that start processes or wait for time
 * run seven times, then the whole suite runs three times, so that these files run ten times in all. Each red test is printed with
 * its output, and all of them at the end, with the files that take longest.
 *
 *   npm run flaky -- --continue                                   goes on after the last round that ended, if the sources are the same
 *   npm run flaky -- --rounds 2 --suite 0 src/cli/cli.test.ts     only these files, two rounds, no whole suite
 *   npm run flaky -- --idle                                       without the other work
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    suite: { type: 'string', default: '3' },
    idle: { type: 'boolean', default: false },
    continue: { type: 'boolean', default: false },
  },
})

interface Report {
  testResults: {
    name: string
    status: string
    message: string
    startTime: number
    endTime: number
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[]
  }[]
}

interface Failure {
  readonly test: string
  readonly output: string
}

/** A round that has ended. */
interface Round {
  readonly name: string
  readonly seconds: number
  readonly failures: readonly Failure[]
  /** The time of each file, in milliseconds. */
  readonly files: Readonly<Record<string, number>>
}

const root = join(import.meta.dirname, '..')
/** What a test file imports or calls if it starts processes or waits for time. */
const waits =
  /node:child_process|worker_threads|setTimeout|setInterval|\buntil\(|on(?:Every|Any)Bus|\/lib\/(?:cli|nats|world)\.ts/

const folder = mkdtempSync(join(tmpdir(), 'tidings-flaky-'))
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidings')
/** The rounds that ended, of the last call. A round that was interrupted is not among them. */
const stateFile = join(cache, 'flaky.json')
const subject = subjectHash()
const done = values.continue ? doneBefore() : []
const burners = values.idle ? [] : Array.from({ length: availableParallelism() }, burner)
try {
  const waiting =
    positionals.length > 0 ? positionals : globSync('{src,test,examples}/**/*.test.ts', { cwd: root }).filter(usesTime)
  await runRounds('files that wait', Number(values.rounds), waiting.toSorted())
  await runRounds('whole suite', Number(values.suite), [])
} finally {
  await Promise.all(burners.map(worker => worker.terminate()))
  rmSync(folder, { recursive: true, force: true })
}
printSlowest(20)
const failures = done.flatMap(round => round.failures)
const red = new Set(failures.map(({ test }) => test))
console.log(
  red.size === 0
    ? '\nno test was red'
    : `\nred tests: ${red.size}, in ${failures.length} runs:\n${[...red].join('\n')}`,
)
process.exitCode = red.size === 0 ? 0 : 1

async function runRounds(name: string, rounds: number, files: readonly string[]): Promise<void> {
  for (let n = 1; n <= rounds; n++) {
    const round = `${name}, round ${n}`
    const before = done.find(each => each.name === round)
    if (before === undefined) {
      done.push(await runTests(round, files))
      mkdirSync(cache, { recursive: true })
      writeFileSync(stateFile, JSON.stringify({ subject, done }))
    }
    print(before ?? done.at(-1)!)
  }
}

/** Of the commit, of what is changed since, and of the files that run. */
function subjectHash(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, maxBuffer: 2 ** 30 })
  const hash = createHash('sha256').update(JSON.stringify([positionals, values.idle]))
  for (const output of [git('rev-parse', 'HEAD'), git('diff', 'HEAD'), git('status', '--porcelain')])
    hash.update(output)
  return hash.digest('hex')
}

function doneBefore(): Round[] {
  if (!existsSync(stateFile)) throw new Error(`there is nothing to continue: ${stateFile} does not exist`)
  const state = JSON.parse(readFileSync(stateFile, 'utf8')) as { subject: string; done: Round[] }
  if (state.subject !== subject)
    throw new Error(`${stateFile} is of other sources, files or --idle: start without --continue`)
  return state.done
}

function print({ name, seconds, failures, files }: Round): void {
  console.log(`${failures.length === 0 ? 'green' : 'RED  '}  ${seconds.toFixed(0).padStart(5)} s  ${name}`)
  const slowest = Object.entries(files).toSorted(([, a], [, b]) => b - a)
  console.log(`         slowest: ${slowest.slice(0, 3).map(([file, ms]) => `${file} ${(ms / 1_000).toFixed(0)} s`).join(', ')}`) // biome-ignore format: one line
  for (const { test, output: why } of failures) console.log(`       ${test}\n${why.replace(/^/gm, '         ')}`)
}

/** The files that took longest, in their slowest round. */
function printSlowest(count: number): void {
  const times = new Map<string, number[]>()
  for (const { files } of done)
    for (const [file, ms] of Object.entries(files)) times.set(file, [...(times.get(file) ?? []), ms / 1_000])
  const slowest = [...times].toSorted(([, a], [, b]) => Math.max(...b) - Math.max(...a)).slice(0, count)
  console.log('\nslowest files, seconds: least, most')
  for (const [file, seconds] of slowest)
    console.log([Math.min(...seconds), Math.max(...seconds)].map(time => time.toFixed(1).padStart(7)).join(' '), file)
}

function usesTime(file: string): boolean {
  return waits.test(readFileSync(join(root, file), 'utf8'))
}

/** Keeps one core busy. */
function burner(): Worker {
  return new Worker('for (;;);', { eval: true })
}

async function runTests(name: string, files: readonly string[]): Promise<Round> {
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
  const seconds = (performance.now() - begin) / 1_000
  return { name, seconds, failures: failuresIn(report, code, output), files: timesIn(report) }
}

function timesIn(file: string): Record<string, number> {
  if (!existsSync(file)) return {}
  const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as Report
  return Object.fromEntries(
    testResults.map(({ name, startTime, endTime }) => [relative(root, name), Math.round(endTime - startTime)]),
  )
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
