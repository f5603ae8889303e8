import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
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

export const shutdownGraceMs = 5_000

/** Resolves when the server accepts connections. @throws E_PORT_IN_USE */
export async function listen(server: Server, options: ListenOptions): Promise<HttpListener> {
  const { port, host } = options
  const inProgress = new Set<Promise<void>>()
  server.on('request', (_, outgoing: ServerResponse) => {
    const ended = new Promise<void>(resolve => outgoing.once('close', () => resolve()))
    inProgress.add(ended)
    void ended.then(() => inProgress.delete(ended))
  })
  server.on('clientError', rejectBrokenRequest)
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (cause) {
    throw listenError(options, cause)
  }
  // An error such as too many open files loses one connection; it must not end the process.
  server.on('error', error => process.emitWarning(error))
  const actual = (server.address() as AddressInfo).port
  return {
    port: actual,
    url: `http://${urlHost(host)}:${actual}`,
    async stop(abort) {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      const grace = AbortSignal.timeout(shutdownGraceMs)
      await settledOrAborted(Promise.all(inProgress), abort ? AbortSignal.any([grace, abort]) : grace)
      server.closeAllConnections()
      await closed
    },
  }
}

/** What to throw when a server cannot listen. */
export function listenError({ service, port, setting }: Omit<ListenOptions, 'host'>, cause: unknown): unknown {
  if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') return cause
  const text = `port ${port} of ${service} is in use; stop the other process or set ${setting}`
  return new TidingsError('E_PORT_IN_USE', text, { cause })
}

/** A host as it is written in a URL. */
export const urlHost = (host: string) => (host.includes(':') ? `[${host}]` : host)
