import { createServer, type IncomingMessage } from 'node:http'
import type { Redactor } from '../../bus/redact.ts'
import { type HttpListener, listen } from '../../http/listen.ts'
import { errorResponse, type HttpResponse, send } from '../../http/response.ts'

const maxConnections = 1_024

/** How long a request may take to arrive, in ms. Few webhook sources wait longer than that for a response. */
const defaultTimeouts = { headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 5_000 }

/** An HTTP server that passes each request to the handler and answers what it throws. @throws E_PORT_IN_USE */
export function startServer(
  handle: (incoming: IncomingMessage) => Promise<HttpResponse>,
  { port, host, redactor }: { port: number; host: string; redactor: Redactor },
  timeouts = defaultTimeouts,
): Promise<HttpListener> {
  const server = createServer({ ...timeouts, connectionsCheckingInterval: 500 }, (incoming, outgoing) => {
    void handle(incoming)
      .catch((error: unknown) => errorResponse(error, redactor))
      .then(response => {
        send(outgoing, response)
        // Discards the rest of a rejected body; closing the connection now could lose the response. The request timeout ends it.
        incoming.resume()
      })
  })
  server.maxConnections = maxConnections
  return listen(server, { port, host, service: 'the webhook trigger', setting: 'TIDINGS_WEBHOOK_PORT' })
}
