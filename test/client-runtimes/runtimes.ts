import { execFile, spawn } from 'node:child_process'
import { cp, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { arch, platform } from 'node:os'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { createReadStream, existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'
import { bundledClient } from '../client/bundled.ts'
import { findBrowser } from '../lib/browser-find.ts'

/** What a story is told about. */
export interface Telling {
  /** Of the gateway. */
  readonly url: string
  /** Of the runtime. */
  readonly name: string
  readonly count: number
}

/** What the story printed, as JSON. */
export type Runtime = (telling: Telling) => Promise<string>

/** Each runtime by its name. `folder` gets the files that they run, `modules` has the packages of `installRuntimes`. */
export async function runtimesIn(folder: string, modules: string): Promise<Record<string, Runtime>> {
  await cp(join(import.meta.dirname, 'files'), folder, { recursive: true })
  await writeFile(join(folder, 'client.js'), (await bundledClient()).code)
  const file = (name: string) => join(folder, name)
  const command =
    (path: string, ...args: string[]): Runtime =>
    async ({ url, name, count }) =>
      (await promisify(execFile)(path, [...args, url, name, String(count)], { timeout: 120_000 })).stdout
  const system = `${platform()}-${arch()}`
  return {
    node: command(process.execPath, file('main.js')),
    'node-worker': command(process.execPath, file('node-worker.js')),
    deno: command(join(modules, `@deno/${system}-glibc/deno`), 'run', '--allow-net', '--no-prompt', file('main.js')),
    bun: command(join(modules, `@oven/bun-${system}/bin/bun`), 'run', file('main.js')),
    workerd: telling => inWorkerd(join(modules, `@cloudflare/workerd-${platform()}-64/bin/workerd`), folder, telling),
    browser: telling => inBrowser(folder, telling, 'page'),
    'browser-worker': telling => inBrowser(folder, telling, 'worker'),
  }
}

async function inWorkerd(path: string, folder: string, { url, name, count }: Telling): Promise<string> {
  if (!existsSync(path)) throw new Error(`there is no workerd for this machine at ${path}`)
  const port = await freePort()
  const modules = ['workerd.js', 'tell.js', 'client.js', 'story.js'].map(
    each => `(name = "${each}", esModule = embed "${each}")`,
  )
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [${modules.join(', ')}], compatibilityDate = "2026-01-01", globalOutbound = "network")),
    (name = "network", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`
  await writeFile(join(folder, 'workerd.capnp'), config)
  const server = spawn(path, ['serve', 'workerd.capnp'], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] })
  try {
    const told = new URLSearchParams({ url, name, count: String(count) })
    const address = `http://127.0.0.1:${port}`
    const isUp = () =>
      fetch(address).then(
        () => true,
        () => server.exitCode !== null,
      )
    await until(isUp)
    const response = await fetch(`${address}?${told.toString()}`)
    if (!response.ok) throw new Error(`workerd answered ${response.status}: ${await response.text()}`)
    return await response.text()
  } finally {
    server.kill()
  }
}

const types: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.html': 'text/html' }

/** The page and the gateway have one origin, as behind a proxy, which answers 502 while there is no gateway. */
async function inBrowser(folder: string, { url, name, count }: Telling, where: 'page' | 'worker'): Promise<string> {
  const found = await findBrowser(text => console.log(text))
  if ('reason' in found) throw new Error(found.reason)
  const server = createServer((incoming, outgoing) => {
    const { pathname } = new URL(incoming.url!, url)
    const asked = join(folder, pathname.replace('/files/', ''))
    if (pathname.startsWith('/files/')) {
      outgoing.setHeader('content-type', types[extname(asked)] ?? 'text/plain')
      createReadStream(asked).pipe(outgoing)
      return
    }
    const { method = 'GET', headers } = incoming
    const forwarded = request(new URL(incoming.url!, url), { method, headers }, response => {
      outgoing.writeHead(response.statusCode!, response.headers)
      response.pipe(outgoing).on('error', () => response.destroy())
      response.on('error', () => outgoing.destroy())
      outgoing.on('close', () => response.destroy())
    })
    forwarded.on('error', () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()))
    incoming.pipe(forwarded)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  const browser = await chromium.launch({ executablePath: found.path, env: found.env, chromiumSandbox: false })
  try {
    const page = await browser.newPage()
    await page.goto(`${origin}/files/page.html`)
    const tell = where === 'page' ? 'tellInPage' : 'tellInWorker'
    await page.waitForFunction(`window.${tell}`)
    return await page.evaluate<string>(`${tell}(${JSON.stringify([origin, name, String(count)])})`)
  } finally {
    await browser.close()
    server.close()
    server.closeAllConnections()
  }
}
