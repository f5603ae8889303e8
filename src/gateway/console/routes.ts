import { Hono } from 'hono'
import { httpError } from '../../http/response.ts'
import type { GatewayContext, GatewayEnv } from '../context.ts'
import { consoleFile } from './files.ts'

const headers = {
  // Styles that libraries set on elements need `unsafe-inline`; scripts come from this origin only.
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; worker-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/**
 * The console at `/console/`: files without any data, which need no credential. All pages are one file; its links are relative to `/console/`,
 * so that it works below any prefix.
 */
export function consoleRoutes(): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>()
  app.get('/', c => c.redirect('console/'))
  app.get('/ask', c => c.redirect('console/ask'))
  app.get('/console', c => c.redirect('console/'))
  app.get('/console/assets/:file', async c => {
    const file = await consoleFile(`assets/${c.req.param('file')}`)
    if (!file) throw httpError(404, 'this file is not a part of the console', { code: 'E_NOT_FOUND' })
    // The name of a file changes with its content.
    return send(c, file.mediaType, file, 'public, max-age=31536000, immutable')
  })
  app.get('/console/icon.svg', async c => {
    const icon = await consoleFile('icon.svg')
    if (!icon) throw httpError(404, 'the console is not built', { code: 'E_NOT_FOUND' })
    return send(c, icon.mediaType, icon, 'max-age=86400')
  })
  app.get('/console/*', async c => {
    const page = await consoleFile('index.html')
    if (!page)
      throw httpError(404, 'the console is not built', {
        code: 'E_NOT_FOUND',
        next: 'In a checkout, run: node scripts/console.ts',
      })
    const depth = c.req.path.split('/').length - 3
    const base = depth === 0 ? './' : '../'.repeat(depth)
    const body = Buffer.from(page.body.toString().replace('<head>', `<head><base href="${base}" />`))
    return send(c, page.mediaType, { body }, 'no-cache')
  })
  return app
}

function send(
  c: GatewayContext,
  mediaType: string,
  { body, gzipped }: { body: Buffer<ArrayBuffer>; gzipped?: Buffer<ArrayBuffer> },
  cacheControl: string,
): Response {
  const isZipped = gzipped !== undefined && /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')
  return c.body(isZipped ? gzipped : body, 200, {
    ...headers,
    'cache-control': cacheControl,
    'content-type': mediaType,
    vary: 'accept-encoding',
    ...(isZipped && { 'content-encoding': 'gzip' }),
  })
}
