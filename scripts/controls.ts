import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import type { Control } from '../test/controls/control.ts'
import { copyCheckout } from '../test/lib/checkout.ts'
import { applyControl, loadControls } from '../test/lib/controls.ts'

/*
 * Removes one fix after the other from a copy of the project and runs the test that must fail then:
 * `npm run controls`, or `npm run controls NAME …`. Fails if a test passes without its fix.
 */

const limitMs = 60_000

interface Run {
  passed: number
  failed: number
  /** The first line of the first failure, or why the tests could not run. */
  reason: string
  /** The file did not load, no test was found, or the time limit was reached. */
  isBroken: boolean
  seconds: number
}

interface Report {
  testResults: {
    status: string
    message: string
    assertionResults: { title: string; status: string; failureMessages: string[] }[]
  }[]
}

const root = join(import.meta.dirname, '..')
const controls = await loadControls()
const names = process.argv.slice(2)
const unknown = names.filter(name => !controls.has(name))
if (unknown.length > 0)
  throw new Error(`unknown control: ${unknown.join(', ')}; expected ${[...controls.keys()].join(', ')}`)

const copy = mkdtempSync(join(tmpdir(), 'tidings-controls-'))
const intact = new Map<string, Promise<Run>>()
let running: number | undefined
let bad = 0
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (running !== undefined) process.kill(-running, 'SIGKILL')
    rmSync(copy, { recursive: true, force: true, maxRetries: 20 })
    process.exit(130)
  })
try {
  copyCheckout(copy)
  for (const name of names.length > 0 ? names : controls.keys()) {
    const control = controls.get(name)!
    const { isRed, seconds, reason } = await verdictOf(control)
    if (!isRed) bad++
    const mark = isRed ? styleText('green', 'red    ') : styleText('red', 'NOT RED')
    console.log(`${mark}  ${name.padEnd(width())}  ${seconds.toFixed(0).padStart(3)} s  ${control.fault}`)
    console.log(`         ${styleText('dim', `${control.test}: ${reason}`)}`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(bad === 0 ? 'all controls are red' : `${bad} of the controls are not red`)
process.exitCode = bad > 0 ? 1 : 0

function width(): number {
  return Math.max(...[...controls.keys()].map(name => name.length))
}

async function verdictOf(control: Control): Promise<{ isRed: boolean; seconds: number; reason: string }> {
  const key = JSON.stringify([control.test, control.name])
  if (!intact.has(key)) intact.set(key, runTest(control))
  const before = await intact.get(key)!
  if (before.isBroken || before.failed > 0)
    return { isRed: false, seconds: before.seconds, reason: `not green with the fix in place: ${before.reason}` }
  const read = (file: string) => readFileSync(join(copy, file), 'utf8')
  const changed = applyControl(control, read)
  const original = new Map([...changed.keys()].map(file => [file, read(file)]))
  try {
    for (const [file, text] of changed) writeFileSync(join(copy, file), text)
    const error = compileError()
    if (error) return { isRed: false, seconds: 0, reason: `does not compile without the fix: ${error}` }
    const { isBroken, failed, passed, reason, seconds } = await runTest(control)
    if (isBroken) return { isRed: false, seconds, reason }
    if (failed === 0) return { isRed: false, seconds, reason: `${passed} tests pass without the fix` }
    return { isRed: true, seconds, reason }
  } finally {
    for (const [file, text] of original) writeFileSync(join(copy, file), text)
  }
}

/** A test that fails because a module does not load proves nothing. */
function compileError(): string | undefined {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const args = [tsc, '-p', 'tsconfig.src.json', '--noEmit', '--composite', 'false']
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8' })
  return status === 0 ? undefined : stdout.split('\n')[0]
}

async function runTest({ test, name }: Control): Promise<Run> {
  const output = join(copy, 'result.json')
  rmSync(output, { force: true })
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const args = [vitest, 'run', test, '--reporter=json', `--outputFile=${output}`, ...(name ? ['-t', name] : [])]
  const begin = performance.now()
  // In its own process group, so that the processes of a test end with it.
  const child = spawn(process.execPath, args, { cwd: copy, detached: true, stdio: 'ignore' })
  running = child.pid
  const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), limitMs)
  const signal = await new Promise<string | null>(resolve => child.once('exit', (_, by) => resolve(by)))
  clearTimeout(timer)
  running = undefined
  const seconds = (performance.now() - begin) / 1_000
  const broken = (reason: string) => ({ passed: 0, failed: 0, isBroken: true, reason, seconds })
  if (signal) return broken(`took longer than ${limitMs / 1_000} s`)
  if (!existsSync(output)) return broken('vitest did not report')
  const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as Report
  const tests = testResults.flatMap(file => file.assertionResults)
  const failed = tests.filter(({ status }) => status === 'failed')
  const passed = tests.filter(({ status }) => status === 'passed').length
  if (failed.length > 0) return { passed, failed: failed.length, isBroken: false, reason: firstLine(failed), seconds }
  const unloaded = testResults.find(({ status }) => status === 'failed')
  if (unloaded) return broken(`the test file does not load: ${unloaded.message.split('\n')[0]}`)
  if (passed === 0) return broken(`no test matches "${name}"`)
  return { passed, failed: 0, isBroken: false, reason: '', seconds }
}

function firstLine(failed: { title: string; failureMessages: string[] }[]): string {
  const [{ title, failureMessages }] = failed as [(typeof failed)[0]]
  return `${title}: ${failureMessages.join('\n').split('\n')[0]}`
}
