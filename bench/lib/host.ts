import { fork, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { environment } from '../../src/runtime/environment.ts'
import { start, type Role, type RunningApp } from '../../src/runtime/start.ts'
import app from './app.ts'

/** The bench app in this process. */
export const host = (home: string, only: readonly Role[], bus = environment().bus): Promise<RunningApp> =>
  start(app, { home, only, bus })

/** The same in its own process; resolves when it serves. */
export async function hostElsewhere(
  home: string,
  only: readonly Role[],
  bus = environment().bus,
): Promise<ChildProcess> {
  const child = fork(import.meta.filename, [home, only.join(','), bus])
  await new Promise((resolve, reject) =>
    child.once('message', resolve).once('exit', code => reject(new Error(`ended with ${code}`))),
  )
  return child
}

export async function stopChild(child: ChildProcess): Promise<void> {
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.disconnect()
  await gone
}

/** A folder for one run, removed when the work has ended. */
export async function withHome<T>(work: (home: string) => Promise<T>): Promise<T> {
  const home = await mkdtemp(join(tmpdir(), 'tidings-bench-'))
  try {
    return await work(home)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

export const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

/** Median, lowest and highest. */
export function spread(values: readonly number[], digits = 0): string {
  const show = (value: number) => value.toFixed(digits)
  return `${show(median(values))} (${show(Math.min(...values))} to ${show(Math.max(...values))})`
}

/** The circumstances of the measurement. */
export const circumstances = (repeats: number) =>
  `node ${process.version}, ${availableParallelism()} cores, ${new Date().toISOString().slice(0, 10)}, ${repeats} repeats: median (lowest to highest)`

export const row = (cells: readonly unknown[]) => console.log(`| ${cells.join(' | ')} |`)

/** The header of a Markdown table. */
export function heading(cells: readonly string[]) {
  row(cells)
  console.log(`|${'---|'.repeat(cells.length)}`)
}

export const mib = (bytes: number) => Math.round(bytes / 1024 / 1024)

if (import.meta.main) {
  const [home, only, bus] = process.argv.slice(2) as [string, string, string]
  const running = await host(home, only.split(',') as Role[], bus)
  process.send!('ready')
  process.once('disconnect', () => void running.stop())
}
