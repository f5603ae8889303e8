import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'
import { settledOrAborted } from '../bus/abort.ts'
import { TidingsError } from '../errors.ts'
import { rejectBrokenRequest } from './response.ts'

export interface ListenOptions {
  /** 0 uses any free port. */
  readonly port: number
  readonly host: string
  /** Named in errors, such as `the gateway`. */
  readonly service: string
  /** The environment variable that sets the port. */
  readonly setting: string
}

export interface HttpListener {
  readonly port: number
  readonly url: string
  /** Accepts no further requests, and lets those in progress end: for 5 seconds at most, and no longer than until the signal. */
  stop(abort?: AbortSignal): Promise<void>
}

const shutdownGraceMs = 5_000

/** Resolves when the server accepts connections. @throws E_PORT_IN_USE */
export async function listen(server: Server, options: ListenOptions): Promise<HttpListener> {
  const inProgress = new Set<Promise<void>>()
  server.on('request', (_, outgoing: ServerResponse) => {
    const ended = new Promise<void>(resolve => outgoing.once('close', () => resolve()))
    inProgress.add(ended)
    void ended.then(() => inProgress.delete(ended))
  })
  server.on('clientError', rejectBrokenRequest)
  await openPort(server, options)
  // An error such as too many open files loses one connection; it must not end the process.
  server.on('error', error => process.emitWarning(error))
  const actual = (server.address() as AddressInfo).port
  return {
    port: actual,
    url: `http://${urlHost(options.host)}:${actual}`,
    async stop(abort) {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      await settledWithinGrace(inProgress, abort)
      server.closeAllConnections()
      await closed
    },
  }
}

/** Resolves when the server listens. @throws E_PORT_IN_USE */
export async function openPort(server: NetServer, { service, port, host, setting }: ListenOptions): Promise<void> {
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
    const text = `port ${port} of ${service} is in use; stop the other process or set ${setting}`
    throw new TidingsError('E_PORT_IN_USE', text, { cause })
  }
}

/** Resolves when the work of a server that stops has settled: after 5 seconds at most, and no later than the signal. */
export function settledWithinGrace(inProgress: Iterable<Promise<unknown>>, abort?: AbortSignal): Promise<void> {
  const grace = AbortSignal.timeout(shutdownGraceMs)
  return settledOrAborted(Promise.all(inProgress), abort ? AbortSignal.any([grace, abort]) : grace)
}

/** The port that the environment sets, or the default. @throws E_SETTING_INVALID */
export function configuredPort(setting: string, fallback: number): number {
  const text = process.env[setting] || String(fallback)
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new TidingsError('E_SETTING_INVALID', `${setting}=${text} is not a port; expected 0 to 65535`)
}

export const urlHost = (host: string) => (host.includes(':') ? `[${host}]` : host)

/** Whether only this machine reaches an address. */
export const isLoopback = (address: string) => /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(address)

/** Where this machine reaches a server that listens on this address. */
export const localHost = (host: string) => ({ '0.0.0.0': '127.0.0.1', '::': '::1' })[host] ?? host
