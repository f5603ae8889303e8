import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { openBus } from '../src/runtime/environment.ts'
import { freePort } from '../src/testing/ports.ts'
import { installRuntimes } from '../test/client-runtimes/install.ts'
import { runtimesIn } from '../test/client-runtimes/runtimes.ts'

/*
 * Runs the client of the gateway in Node, a worker of Node, Deno, Bun, Cloudflare's workerd, a browser and a worker of a browser, while the
 * gateway is killed and started again: `npm run client-runtimes [-- NAME …]`. Installs the runtimes into the cache, once.
 */

const count = 40
const home = await mkdtemp(join(tmpdir(), 'tidings-client-runtimes-'))
const place = { home, bus: 'sqlite' }
const url = `http://127.0.0.1:${await freePort()}`
let gateway: ChildProcess | undefined
try {
  const runtimes = await runtimesIn(join(home, 'files'), await installRuntimes())
  const asked = process.argv.slice(2)
  const faults: string[] = []
  const worker = await start(['--only', 'agents,models'])
  for (const [name, run] of Object.entries(runtimes)) {
    if (asked.length > 0 && !asked.includes(name)) continue
    gateway = await start(['--only', 'gateway'])
    const [output] = await Promise.all([run({ url, name, count }).catch(String), replaceGateway(name)])
    const fault = faultOf(name, output)
    console.log(`${fault === undefined ? 'well' : 'FAULT'}  ${name}${fault === undefined ? '' : `: ${fault}`}`)
    if (fault !== undefined) faults.push(name)
    await end(gateway)
  }
  await end(worker)
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  await rm(home, { recursive: true, force: true, maxRetries: 20 })
}

async function start(roles: readonly string[]): Promise<ChildProcess> {
  const main = join(import.meta.dirname, '../src/cli/main.ts')
  const app = join(import.meta.dirname, '../test/client-runtimes/app.ts')
  const child = spawn(process.execPath, [main, 'run', app, '--json', ...roles], {
    env: {
      ...process.env,
      TIDINGS_LOG_LEVEL: 'silent',
      TIDINGS_HOME: home,
      TIDINGS_BUS: place.bus,
      TIDINGS_PORT: new URL(url).port,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface(child.stdout)) if (line.includes('"ready"')) break
  child.stdout.resume()
  return child
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  if (child.kill('SIGKILL')) await gone
}

/** Kills the gateway when a quarter of the events is on the log, and starts it again. */
async function replaceGateway(name: string): Promise<void> {
  const bus = await openBus(place)
  const timeout = AbortSignal.timeout(120_000)
  try {
    let left = count / 4
    for await (const _ of bus.follow('0', [{ types: [`${name}.counted`] }], timeout)) if (--left === 0) break
  } finally {
    await bus.close()
  }
  await end(gateway!)
  gateway = await start(['--only', 'gateway'])
}

function faultOf(name: string, output: string): string | undefined {
  try {
    const { text, result, seen } = JSON.parse(output) as { text: string; result: string; seen: readonly number[] }
    if (!result.includes(name)) return `the answer is ${JSON.stringify(result)}`
    if (text !== result) return `the stream has ${JSON.stringify(text)}, the answer is ${JSON.stringify(result)}`
    const wanted = Array.from({ length: count }, (_, n) => n)
    return seen.join() === wanted.join() ? undefined : `it saw the events ${seen.join()}`
  } catch {
    return output.slice(0, 2_000)
  }
}
