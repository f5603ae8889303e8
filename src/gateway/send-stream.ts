import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { eventStreamResponse } from '../http/event-stream.ts'
import type { GatewayContext } from './context.ts'

/**
 * Sends frames of server-sent events until they end, or the credential of the client does. The connection breaks if they throw, as when the
 * gateway stops.
 */
export function sendStream(
  c: GatewayContext,
  frames: (signal: AbortSignal) => AsyncGenerator<string>,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { outgoing } = c.env
  const hasEnded = () => c.var.principal.hasEnded?.() ?? false
  const response = eventStreamResponse(frames, { headers, hasEnded })
  outgoing.writeHead(200, Object.fromEntries(response.headers))
  // Not through Hono, which writes every broken stream to stderr. A slow client gets text in larger pieces, so nothing is read ahead.
  void pipeline(Readable.fromWeb(response.body!, { highWaterMark: 1 }), outgoing).catch(() => {})
  return RESPONSE_ALREADY_SENT
}
