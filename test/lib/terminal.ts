import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'vitest'
import type { World } from './world.ts'

const main = join(import.meta.dirname, '../../src/cli/main.ts')

/** Runs a verb on a terminal of this size, which `script` of util-linux makes. Its output is the name of the terminal, then what is on it. */
export function onTerminal({ home, bus }: World['place'], verb: string, rows: number, columns: number): ChildProcess {
  const command = `tty; stty rows ${rows} columns ${columns}; exec ${process.execPath} ${main} ${verb}`
  const env = { ...process.env, TIDINGS_HOME: home, TIDINGS_BUS: bus, TERM: 'xterm' }
  return spawn('script', ['-qfec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] })
}

/** A test that needs `onTerminal`. */
export function testOnTerminal(name: string, body: () => Promise<void>): void {
  if (hasScript()) test(name, body)
  else test.skip(`${name} (there is no script(1) of util-linux)`, body)
}

function hasScript(): boolean {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux')
  } catch {
    return false
  }
}
