import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { CommandToRun } from './cli-host.ts'

/*
 * Commands in processes that are kept: a command that reads a log spends most of its processor time on loading modules. What starts,
 * ends or loads an app runs in a process of its own (`launch` of cli.ts), and so do all commands of src/cli/cli.test.ts and of the guides.
 */

/** These load no code of an app, which the process would keep, and end by themselves. */
const kept = new Set([
  'approvals', 'approve', 'attention', 'deny', 'find', 'pause', 'publish', 'resume', 'retry', 'show', 'status', 'tasks', 'trace', 'why',
]) // biome-ignore format: one list

export const isWarm = (args: readonly string[]) =>
  kept.has(args[0]!) && !args.some(arg => ['--app', '--wait', '-'].includes(arg))

/** As many commands run at a time; others wait. */
const maxHosts = 4
const idle: ChildProcess[] = []
const waiting: ((host: ChildProcess) => void)[] = []
let hosts = 0

export interface CommandResult {
  code: number | null
  stdout: string
  stderr: string
}

/** What a command printed, and its exit code. */
export async function runWarm(command: CommandToRun): Promise<CommandResult> {
  const host = idle.pop() ?? (hosts < maxHosts ? start() : await new Promise<ChildProcess>(next => waiting.push(next)))
  const result = await run(host, command)
  if (host.connected) (waiting.shift() ?? (free => idle.push(free)))(host)
  else {
    hosts--
    const next = waiting.shift()
    if (next) next(start())
  }
  return result
}

function start(): ChildProcess {
  hosts++
  const host = spawn(process.execPath, [join(import.meta.dirname, 'cli-host.ts')], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, TZ: 'UTC' },
  })
  // It ends with this process, which it does not keep alive.
  host.unref()
  host.channel!.unref()
  for (const stream of outputsOf(host)) {
    stream.setEncoding('utf8')
    stream.unref()
  }
  return host
}

const outputsOf = (host: ChildProcess) => [host.stdout as Socket, host.stderr as Socket] as const

function run(host: ChildProcess, command: CommandToRun): Promise<CommandResult> {
  const printed = ['', '']
  let code: number | undefined
  return new Promise(resolve => {
    const finish = (isDead: boolean) => {
      if (!isDead && (code === undefined || !printed.every(text => text.endsWith('\0')))) return
      for (const stream of outputsOf(host)) stream.removeAllListeners('data')
      host.removeAllListeners('message').removeAllListeners('close')
      const [stdout, stderr] = printed.map(text => text.replace(/\0$/, ''))
      resolve({ code: code ?? host.exitCode, stdout: stdout!, stderr: stderr! })
    }
    for (const [i, stream] of outputsOf(host).entries())
      stream.on('data', (chunk: string) => {
        printed[i] += chunk
        finish(false)
      })
    host.on('message', (answer: number) => {
      code = answer
      finish(false)
    })
    host.on('close', () => finish(true))
    host.send(command)
  })
}
