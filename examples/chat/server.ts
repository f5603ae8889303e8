import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { build, type Rolldown } from 'vite'
import type { Principal, RunningApp } from '../../src/index.ts'

/** Who uses this machine. A server for others takes it from its sign-in: docs/guides/embedding.md. */
const you: Principal = { tenant: 'default', user: 'you', may: action => action !== 'operate' }

/** Files of a page by their paths, as vite builds them from a folder. */
export async function buildPage(
  root = join(import.meta.dirname, 'page'),
): Promise<Map<string, Rolldown.OutputAsset | Rolldown.OutputChunk>> {
  const built = await build({ root, configFile: false, logLevel: 'error', build: { write: false, target: 'esnext' } })
  const { output } = built as Rolldown.RolldownOutput
  return new Map(output.map(file => [`/${file.fileName}`, file]))
}

const types: Record<string, string> = { html: 'text/html', js: 'text/javascript', css: 'text/css' }

/** Serves the page, and the gateway of the app beside it. Resolves with its address. */
export async function serve(running: RunningApp, page: Awaited<ReturnType<typeof buildPage>>, port: number) {
  const site = new Hono()
    .get('*', async (c, next) => {
      const file = page.get(c.req.path === '/' ? '/index.html' : c.req.path)
      if (!file) return next()
      const body = file.type === 'chunk' ? file.code : file.source
      const type = types[file.fileName.split('.').at(-1)!] ?? 'application/octet-stream'
      return c.body(body as string, 200, { 'content-type': `${type}; charset=utf-8` })
    })
    .all('*', c => running.fetchAs(you, c.req.raw))
  const server = createServer((incoming, outgoing) => void getRequestListener(site.fetch)(incoming, outgoing))
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    close: () => server.close().closeAllConnections(),
  }
}
