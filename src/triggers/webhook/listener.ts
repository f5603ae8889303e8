import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { endedOrCut } from '../../bus/cut.ts'
import type { Redactor } from '../../bus/redact.ts'
import { TidingsError } from '../../errors.ts'
import { type Answer, answerBrokenRequest, answerFor } from './answers.ts'

export type Handler = (incoming: IncomingMessage) => Promise<Answer>

interface Listener {
  readonly port: number
  /** Lets requests under way end, for 5 seconds at most and no longer than until the cut. */
  stop(cut?: AbortSignal): Promise<void>
}

const graceMs = 5_000
const maxConnections = 1_024

/** How long a request may take to arrive, in ms. What sends it waits for its answer no longer than that, mostly. */
const patience = { headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 5_000 }

/** An HTTP server that gives each whole request to the handler, and answers or cuts off all others. @throws E_PORT_IN_USE */
export async function listen(
  handle: Handler,
  { port, host, redactor }: { port: number; host: string; redactor: Redactor },
  timeouts = patience,
): Promise<Listener> {
  const underWay = new Set<Promise<void>>()
  const server = createServer({ ...timeouts, connectionsCheckingInterval: 500 }, (incoming, outgoing) => {
    const over = new Promise<void>(resolve => outgoing.once('close', () => resolve()))
    underWay.add(over)
    void over.then(() => underWay.delete(over))
    void handle(incoming)
      .catch((error: unknown) => answerFor(error, redactor))
      .then(answer => respond(incoming, outgoing, answer))
  })
  server.maxConnections = maxConnections
  server.on('clientError', answerBrokenRequest)
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
    const text = `port ${port} of the webhook trigger is taken; stop the other process or set TIDINGS_WEBHOOK_PORT`
    throw new TidingsError('E_PORT_IN_USE', text, { cause })
  }
  // Such as too many open files: one connection is lost, not the process.
  server.on('error', error => process.emitWarning(error))
  return {
    port: (server.address() as AddressInfo).port,
    stop: async cut => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      await endedOrCut(Promise.all(underWay), AbortSignal.any([AbortSignal.timeout(graceMs), ...(cut ? [cut] : [])]))
      server.closeAllConnections()
      await closed
    },
  }
}

function respond(incoming: IncomingMessage, outgoing: ServerResponse, { status, body, headers }: Answer): void {
  const text = body && JSON.stringify(body)
  const about = text && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  outgoing.writeHead(status, { ...about, ...headers })
  outgoing.end(text)
  // What is left of a refused body is taken and thrown away, or the answer would be lost with the connection; the time
  // limit of the request ends it.
  incoming.resume()
}
