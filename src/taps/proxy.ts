import { once } from 'node:events'
import { createServer, STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { settledOrAborted } from '../bus/abort.ts'
import { TidingsError } from '../errors.ts'
import { isLoopback, listen, type HttpListener } from '../http/listen.ts'
import { send } from '../http/response.ts'
import { Forwarder, maxHeaderBytes, type ForwardListener } from './forward.ts'
import { endToEndHeaders, headerPairs } from './headers.ts'
import { refusalOf, type Upstream } from './upstream.ts'

export interface ProxyOptions {
  readonly upstream: Upstream
  /** 0 uses any free port. */
  readonly port: number
  /** Default: 127.0.0.1. */
  readonly host?: string | undefined
  /** What sees an exchange. */
  readonly observe: (incoming: IncomingMessage) => ForwardListener
  /** What `/.tidings/status` answers. */
  readonly status?: () => object
}

export interface RunningProxy extends Pick<HttpListener, 'url' | 'port'> {
  /** Accepts no further requests, and lets those in progress end until the signal aborts. */
  stop(abort: AbortSignal): Promise<void>
}

/** Longer than clients keep an idle connection, so that none is used while the tap closes it. Providers keep it for minutes, too. */
const idleClientMs = 10 * 60_000
const statusPath = '/.tidings/status'

/** Forwards all requests to one upstream; other protocols, such as WebSocket, pass unseen. @throws E_PORT_IN_USE */
export async function startTapProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { upstream, port, host = '127.0.0.1', observe, status } = options
  const forwarder = new Forwarder(upstream)
  const inProgress = new Set<Promise<unknown>>()
  const strangeHost = (incoming: IncomingMessage) => (isLoopback(host) ? foreignHost(incoming) : undefined)
  const problemOf = (incoming: IncomingMessage) =>
    strangeHost(incoming) ?? refusalOf(incoming.url ?? '', upstream) ?? unknownCoding(incoming)
  const serverOptions = { maxHeaderSize: maxHeaderBytes, requestTimeout: 0, shouldUpgradeCallback: isWebSocket }
  const server = createServer(serverOptions, (incoming, outgoing) => {
    const isStatus = status && incoming.url === statusPath
    const problem = isStatus ? strangeHost(incoming) : problemOf(incoming)
    if (problem !== undefined) return refuse(outgoing, problem)
    if (isStatus) return send(outgoing, { status: 200, body: status() })
    const ended = once(outgoing, 'close').finally(() => inProgress.delete(ended))
    inProgress.add(ended)
    forwarder.forward(incoming, outgoing, observe(incoming))
  })
  // A proxy waits as long as its client and its upstream do.
  server.timeout = 0
  server.keepAliveTimeout = idleClientMs
  const handle = (incoming: IncomingMessage, outgoing: ServerResponse) =>
    void server.emit('request', incoming, outgoing)
  server.on('checkContinue', handle).on('checkExpectation', handle)
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (problemOf(incoming) === undefined) passUpgrade(forwarder, incoming, socket, head)
    else socket.destroy()
  })
  const listener = await listen(server, { port, host, service: 'the tap', setting: '--port' })
  return {
    ...listener,
    async stop(abort) {
      server.close()
      await settledOrAborted(Promise.all(inProgress), abort)
      await listener.stop(AbortSignal.abort())
      forwarder.close()
    },
  }
}

/**
 * Other offers are ignored, as a server may: the HTTP client of Java offers HTTP/2 with each request, and goes on with HTTP/1.1.
 * Source: RFC 9110, section 7.8.
 */
const isWebSocket = ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket'

/** Node decodes chunks only, so the rest of the coding would be lost. */
function unknownCoding({ headers }: IncomingMessage): string | undefined {
  const coding = headers['transfer-encoding']
  return coding === undefined || coding.toLowerCase() === 'chunked'
    ? undefined
    : `the transfer coding "${coding}" is not known: expected chunked`
}

/** The upstream does not learn by what name it was asked for, so it could not refuse a page that had its own name resolved to this machine. */
function foreignHost({ headers: { host } }: IncomingMessage): string | undefined {
  const name = host === undefined ? undefined : URL.parse(`http://${host}`)?.hostname.replace(/^\[|\]$/g, '')
  if (name === undefined || isLoopback(name)) return undefined
  return `this tap serves this machine only, and the request is for the host "${host}"`
}

/** What a client gets if there is no response of the upstream. */
export const unreachableResponse = (error: Error) => ({
  status: 502,
  body: { error: new TidingsError('E_TAP_UPSTREAM', `there was no response: ${error.message}`) },
})

function refuse(outgoing: ServerResponse, why: string): void {
  send(outgoing, { status: 400, body: { error: new TidingsError('E_REQUEST_INVALID', why) } })
}

type UpgradeHead = Pick<IncomingMessage, 'statusCode' | 'statusMessage' | 'rawHeaders'>

/** Connects the two sockets once the upstream has agreed to another protocol. */
function passUpgrade(forwarder: Forwarder, incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
  const request = forwarder.open(incoming, ['Connection', 'Upgrade', 'Upgrade', incoming.headers.upgrade ?? ''])
  socket.on('error', () => request.destroy())
  request.on('error', () => socket.destroy())
  request.on('upgrade', (response, upstream, first) => {
    socket.write(headOf(response))
    upstream.write(head)
    socket.write(first)
    upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
    upstream.pipe(socket).pipe(upstream)
  })
  request.on('response', response => {
    const { statusCode = 502, statusMessage = '', rawHeaders } = response
    const headers = [...endToEndHeaders(rawHeaders), 'Connection', 'close']
    socket.write(headOf({ statusCode, statusMessage, rawHeaders: headers }))
    response.on('error', () => socket.destroy())
    response.pipe(socket)
  })
  request.end()
}

function headOf({ statusCode = 502, statusMessage, rawHeaders }: UpgradeHead): string {
  const lines = [...headerPairs(rawHeaders)].map(([name, value]) => `${name}: ${value}`)
  return [`HTTP/1.1 ${statusCode} ${statusMessage || STATUS_CODES[statusCode]}`, ...lines, '', ''].join('\r\n')
}
