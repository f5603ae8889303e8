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
  // The connection carries only this stream and ends with it.
  connection: 'close',
}
const greeting = 'retry: 1000\n\n'

export interface StreamsOptions {
  bus: Bus
  limits: StreamLimits
  heartbeatIntervalMs: number
  maxStreams: number
  /** For all clients together. */
  maxBufferedBytes: number
}

/**
 * The open streams. A client first reads from the log what it missed, at its own pace. Then it joins the shared reader of
 * the log for as long as it keeps up.
 */
export class Streams {
  readonly #bus: Bus
  readonly #frames: FrameCache
  readonly #fanout: Fanout
  readonly #maxStreams: number
  readonly #limits: StreamLimits
  readonly #clients = new Set<StreamClient>()
  readonly #heartbeat: NodeJS.Timeout
  readonly #unsubscribe: (() => void) | undefined

  constructor({ bus, limits, heartbeatIntervalMs, maxStreams, maxBufferedBytes }: StreamsOptions) {
    this.#bus = bus
    this.#frames = new FrameCache(bus, maxBufferedBytes, () => this.#disconnectSlowest())
    this.#fanout = new Fanout(bus, this.#frames)
    this.#maxStreams = maxStreams
    this.#limits = limits
    this.#heartbeat = setInterval(() => {
      for (const client of this.#clients) client.sendHeartbeat()
    }, heartbeatIntervalMs)
    this.#heartbeat.unref()
    // The log starts again at position 0. A client that reconnects with an old position gets an error.
    this.#unsubscribe = bus.onEmptied(() => {
      this.#frames.clear()
      this.#end()
    })
  }

  /**
   * Resolves when the stream is open. It starts after the position in the request, else at the beginning of the
   * correlation, else at the end of the log. @throws E_REQUEST_INVALID, E_LOG_UNAVAILABLE, E_BUSY
   */
  async open(request: StreamRequest, response: ServerResponse): Promise<void> {
    const head = await this.#bus.head()
    if (request.after !== undefined && request.after > head)
      throw new TidingsError(
        'E_REQUEST_INVALID',
        `position ${request.after} is after the end of the log, ${head}; the position may be of another log`,
      )
    if (this.#clients.size >= this.#maxStreams)
      throw new TidingsError(
        'E_BUSY',
        `${this.#maxStreams} streams are open, the limit of this gateway; close some or run another gateway`,
        { retryable: true },
      )
    const start = request.after ?? (request.correlation === undefined ? head : 0)
    const client: StreamClient = new StreamClient({
      response,
      request,
      position: start,
      limits: this.#limits,
      onDisconnect: reason => logDisconnect(client, reason),
    })
    this.#clients.add(client)
    client.closed.addEventListener('abort', () => this.#clients.delete(client))
    response.writeHead(200, headers).write(greeting)
    void this.#serve(client, request).catch(() => client.end())
  }

  /** Ends every stream. Clients reconnect with their last position. */
  close() {
    clearInterval(this.#heartbeat)
    this.#unsubscribe?.()
    this.#fanout.close()
    this.#end()
  }

  #end() {
    for (const client of this.#clients) client.end()
  }

  async #serve(client: StreamClient, request: StreamRequest): Promise<void> {
    while (!client.closed.aborted) {
      const until = this.#fanout.position ?? (await this.#bus.head())
      if (until > client.position) await this.#replay(client, request, until)
      await this.#fanout.attach(client)
    }
  }

  /** Sends the events that match the request, up to and including a position. */
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

  /** Disconnects the client that has read nothing for longest. False if none is blocked. */
  #disconnectSlowest(): boolean {
    let slowest: StreamClient | undefined
    for (const client of this.#clients)
      if (client.blockedSince !== undefined && client.blockedSince < (slowest?.blockedSince ?? Infinity))
        slowest = client
    slowest?.disconnect('too many bytes are queued for clients that do not read')
    return slowest !== undefined
  }
}

const logDisconnect = ({ position }: StreamClient, reason: string) =>
  log.warn?.({ position, reason }, 'disconnected a client of the event stream')
