import type { ServerResponse } from 'node:http'
import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import { log } from '../bus/telemetry/log.ts'
import { readLinked } from '../tasks/links.ts'
import { StreamClient, type StreamLimits } from './stream-client.ts'
import { Fanout } from './fanout.ts'
import { FrameCache } from './frames.ts'
import type { StreamRequest } from './stream-request.ts'

const headers = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  // The connection serves this stream and ends with it.
  connection: 'close',
}
const greeting = 'retry: 1000\n\n'

export interface StreamsOptions {
  bus: Bus
  limits: StreamLimits
  heartbeatIntervalMs: number
  /** Most that are open at once. */
  maxStreams: number
  /** Most that waits for all clients together, in bytes. */
  maxBytes: number
}

/**
 * The open streams. Each client first reads what it missed, by position and at its own pace, and then joins the one
 * reader of the log, until it cannot keep up.
 */
export class Streams {
  readonly #bus: Bus
  readonly #frames: FrameCache
  readonly #fanout: Fanout
  readonly #maxStreams: number
  readonly #patience: StreamLimits
  readonly #clients = new Set<StreamClient>()
  readonly #heart: NodeJS.Timeout
  readonly #unsubscribe: (() => void) | undefined

  constructor({ bus, limits: patience, heartbeatIntervalMs: heartbeatMs, maxStreams, maxBytes }: StreamsOptions) {
    this.#bus = bus
    this.#frames = new FrameCache(bus, maxBytes, () => this.#relieve())
    this.#fanout = new Fanout(bus, this.#frames)
    this.#maxStreams = maxStreams
    this.#patience = patience
    this.#heart = setInterval(() => {
      for (const client of this.#clients) client.sendHeartbeat()
    }, heartbeatMs)
    this.#heart.unref()
    // Positions begin again. Who comes back with one of the old log is told so.
    this.#unsubscribe = bus.driver.onEmptied?.(() => {
      this.#frames.clear()
      this.#end()
    })
  }

  /**
   * Answers with a stream. Resolves when it is open. It starts after the position that the client names, else at the
   * beginning of its correlation, else now. @throws E_REQUEST_INVALID, E_LOG_UNAVAILABLE, E_BUSY
   */
  async open(request: StreamRequest, response: ServerResponse): Promise<void> {
    const head = await this.#bus.driver.head()
    if (request.after !== undefined && request.after > head)
      throw new TidingsError(
        'E_REQUEST_INVALID',
        `position ${request.after} lies behind the end of the log, ${head}; this may be another log`,
      )
    if (this.#clients.size >= this.#maxStreams)
      throw new TidingsError(
        'E_BUSY',
        `${this.#maxStreams} streams are open, which is all that this gateway serves; close some, or run another gateway`,
        { retryable: true },
      )
    const start = request.after ?? (request.correlation === undefined ? head : 0)
    const client: StreamClient = new StreamClient(response, request, start, this.#patience, why => said(client, why))
    this.#clients.add(client)
    client.closed.addEventListener('abort', () => this.#clients.delete(client))
    response.writeHead(200, headers).write(greeting)
    void this.#serve(client, request).catch(() => client.end())
  }

  /** Ends every stream; the clients come back with their last position. */
  close() {
    clearInterval(this.#heart)
    this.#unsubscribe?.()
    this.#fanout.close()
    this.#end()
  }

  #end() {
    for (const client of this.#clients) client.end()
  }

  async #serve(client: StreamClient, request: StreamRequest): Promise<void> {
    while (!client.closed.aborted) {
      const until = this.#fanout.position ?? (await this.#bus.driver.head())
      if (until > client.position) await this.#replay(client, request, until)
      await this.#fanout.attach(client)
    }
  }

  /** Everything that the client wants, up to and with a position. */
  async #replay(client: StreamClient, { correlation, filter }: StreamRequest, until: Position): Promise<void> {
    const events =
      correlation === undefined
        ? this.#bus.read({ after: client.position, until, ...(filter && { filter }) })
        : readLinked(this.#bus, correlation, until)
    for await (const stored of events) {
      if (client.closed.aborted) break
      if (client.wants(stored, await this.#frames.feederOf(stored)))
        await this.#frames.use(stored, frame => client.send(stored, frame))
    }
    client.position = Math.max(client.position, until)
  }

  /** Cuts off who has taken nothing for longest of what waits for it. */
  #relieve(): boolean {
    let slowest: StreamClient | undefined
    for (const client of this.#clients)
      if (client.blockedSince !== undefined && client.blockedSince < (slowest?.blockedSince ?? Infinity))
        slowest = client
    slowest?.disconnect('too much waits for clients that do not read')
    return slowest !== undefined
  }
}

const said = ({ position }: StreamClient, why: string) =>
  log.warn?.({ position, why }, 'a client of the stream was cut off')
