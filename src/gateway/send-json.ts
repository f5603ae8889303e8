import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip } from 'node:zlib'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { GatewayContext } from './context.ts'

/** Sends a long JSON text in parts, compressed if the client accepts that. The connection breaks if they throw. */
export function sendJson(c: GatewayContext, parts: AsyncIterable<string>): Response {
  const { outgoing } = c.env
  const isCompressed = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')
  outgoing.writeHead(200, {
    'content-type': 'application/json',
    vary: 'accept-encoding',
    ...(isCompressed && { 'content-encoding': 'gzip' }),
  })
  const text = Readable.from(parts, { objectMode: true, highWaterMark: 4 })
  const sent = isCompressed
    ? pipeline(text, createGzip({ level: constants.Z_BEST_SPEED }), outgoing)
    : pipeline(text, outgoing)
  // Not through Hono, which writes every broken response to stderr.
  void sent.catch(() => {})
  return RESPONSE_ALREADY_SENT
}
