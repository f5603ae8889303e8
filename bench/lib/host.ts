import { fork, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start, type Role, type Running } from '../../src/runtime/start.ts'
import app from './app.ts'

/** The bench app in this process. */
export const host = (home: string, only: readonly Role[]): Promise<Running> => start(app, { home, only })

/** The same in a process of its own; resolves when it serves. */
export async function hostElsewhere(home: string, only: readonly Role[]): Promise<ChildProcess> {
  const child = fork(import.meta.filename, [home, only.join(',')])
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

export const mib = (bytes: number) => Math.round(bytes / 1024 / 1024)

if (import.meta.main) {
  const [home, only] = process.argv.slice(2) as [string, string]
  const running = await host(home, only.split(',') as Role[])
  process.send!('ready')
  process.once('disconnect', () => void running.stop())
}
