import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { listServer } from '../../../src/mcp/client/pin-server.ts'
import { writePins } from '../../../src/mcp/client/pins.ts'

/*
 * Kills worker and server twice while three tools run, and starts both again. The idempotent tool runs to its end after the last restart, the task
 * goes on, and the call that may not run twice ends as unknown.
 */

export interface KillsReport {
  /** What the agent got from each tool, once. */
  readonly outcomes: { readonly slow: string; readonly report: string; readonly book: string }
  /** How often the server started each tool. */
  readonly starts: { readonly slow: number; readonly report: number; readonly book: number }
  /** From the start of the second worker to the answer that the outcome is unknown, in ms. */
  readonly unknownAfterMs: number
  readonly totalMs: number
}

export interface KillsOptions {
  readonly folder: string
  /** Where the log is. Default `sqlite`. */
  readonly bus?: string
  /** How long each tool takes. */
  readonly toolMs: number
  say?(line: string): void
}

const restarts = 2

export async function killsOver({
  folder,
  bus = 'sqlite',
  toolMs,
  say = () => {},
}: KillsOptions): Promise<KillsReport> {
  const began = performance.now()
  const children = new Set<ChildProcess>()
  const run = (file: string, ...args: string[]) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], { stdio: ['ignore', 'pipe', 'inherit'] }) // biome-ignore format: one line
    children.add(child)
    return child
  }
  const kill = async () => {
    await Promise.all([...children].map(async child => (child.kill('SIGKILL'), child.exitCode ?? child.signalCode ?? (await once(child, 'exit'))))) // biome-ignore format: one line
    children.clear()
  }
  const startsOf = (tool: string) => {
    const file = join(folder, `${tool}.runs`)
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
  }
  const serve = async (port: number) => {
    const [line] = (await once(run('server.ts', folder, String(port), String(toolMs)).stdout, 'data')) as [Buffer]
    return Number(line.toString())
  }
  let unknownAt: number | undefined
  const startedAt: number[] = []
  let done: KillsReport['outcomes'] | undefined
  const work = (url: string) => {
    let text = ''
    let isStarted = false
    run('worker.ts', folder, url, bus).stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (!isStarted && text.startsWith('started\n')) isStarted = startedAt.push(performance.now()) > 0
      if (text.includes('"booked"')) unknownAt ??= performance.now()
      const line = text.split('\n').find(each => each.startsWith('{"done"'))
      if (line && text.includes(`${line}\n`)) done = (JSON.parse(line) as { done: KillsReport['outcomes'] }).done
    })
  }
  const until = async (holds: () => boolean, what: string) => {
    const deadline = performance.now() + 60_000 + 3 * toolMs
    for (; !holds(); await delay(50))
      if (performance.now() > deadline) throw new Error(`it did not come to this: ${what}`)
  }
  try {
    const port = await serve(0)
    const url = `http://127.0.0.1:${port}/mcp`
    writePins(
      join(folder, 'mcp.lock.json'),
      'subject',
      (await listServer({ name: 'subject', address: { url } })).pinned,
    )
    work(url)
    let asked = 0
    for (let restart = 1; restart <= restarts; restart++) {
      await until(
        () => startsOf('slow') === restart && startsOf('report') === 1 && startsOf('book') === 1,
        `start ${restart}`,
      )
      await until(() => startsOf('tasks.get') > asked, 'the task is asked for')
      await delay(toolMs / 4)
      await kill()
      asked = startsOf('tasks.get')
      say(`killed everything, ${restart} of ${restarts}`)
      await serve(port)
      work(url)
    }
    await until(() => done !== undefined, 'the end of all calls')
    const starts = { slow: startsOf('slow'), report: startsOf('report'), book: startsOf('book') }
    return { outcomes: done!, starts, unknownAfterMs: Math.round(unknownAt! - startedAt[1]!), totalMs: Math.round(performance.now() - began) } // biome-ignore format: one line
  } finally {
    await kill()
  }
}
