import type { ServerResponse } from 'node:http'
import type { Bus } from '../../bus/bus.ts'
import { beginning, coversAll, offsetsOf, unionOf } from '../../bus/cursor.ts'
import type { Cursor } from '../../bus/driver.ts'
import { TidingsError } from '../../errors.ts'
import { log } from '../../bus/telemetry/log.ts'
import { readLinked } from '../../tasks/links.ts'
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
  /** Bytes that may be queued for one client of the stream; beyond it the client reads the log at its own pace. Default 1 MiB. */
  maxBufferedBytes?: number
  /** Bytes that may be queued for all clients together; beyond it the slowest are disconnected. Default 64 MiB. */
  maxStreamBytes?: number
  /** Default 2,048. */
  maxStreams?: number
  /** A client of the stream that reads nothing for this long is disconnected. Default 30,000. */
  stallTimeoutMs?: number
  /** How often a comment keeps a quiet stream open. Default 15,000. */
  heartbeatIntervalMs?: number
}

export const defaultMaxStreams = 2_048

/**
 * The open streams. A client first reads from the log what it missed, at its own pace. Then it joins the shared reader of
 * the log for as long as it keeps up.
 */
export class Streams {
  readonly #maxStreams: number
  readonly #limits: StreamLimits
  readonly #bus: Bus
  readonly #frames: FrameCache
  readonly #fanout: Fanout
  readonly #clients = new Set<StreamClient>()
  readonly #heartbeat: NodeJS.Timeout
  readonly #unsubscribe: (() => void) | undefined

  constructor(options: StreamsOptions) {
    const {
      bus,
      maxStreams = defaultMaxStreams,
      maxStreamBytes = 64 * 1024 * 1024,
      heartbeatIntervalMs = 15_000,
    } = options
    const { maxBufferedBytes = 1024 * 1024, stallTimeoutMs = 30_000 } = options
    this.#maxStreams = maxStreams
    this.#limits = { maxBufferedBytes, stallTimeoutMs }
    this.#bus = bus
    this.#frames = new FrameCache(bus, maxStreamBytes, () => this.#disconnectSlowest())
    this.#fanout = new Fanout(bus, this.#frames)
    const sendHeartbeats = () => this.#clients.forEach(client => client.sendHeartbeat())
    this.#heartbeat = setInterval(sendHeartbeats, heartbeatIntervalMs).unref()
    // The log starts again at the beginning. A client that reconnects with an old cursor gets an error.
    this.#unsubscribe = bus.onEmptied(() => {
      this.#frames.clear()
      this.#end()
    })
  }

  /**
   * Resolves when the stream is open. It starts after the cursor in the request, else at the beginning of the
   * correlation, else at the end of the log. @throws E_REQUEST_INVALID, E_LOG_UNAVAILABLE, E_BUSY
   */
  async open(request: StreamRequest, response: ServerResponse): Promise<void> {
    const head = await this.#bus.head()
    const { after, correlation } = request
    if (after !== undefined) offsetsOf(after, this.#bus.partitions)
    if (after !== undefined && !coversAll(head, after)) {
      const problem = `the cursor ${after} is after the end of the log, ${head}`
      throw new TidingsError('E_REQUEST_INVALID', `${problem}; the cursor may be of another log`)
    }
    if (this.#clients.size >= this.#maxStreams) {
      const problem = `${this.#maxStreams} streams are open, the limit of this gateway; close some or run another gateway`
      throw new TidingsError('E_BUSY', problem, { retryable: true })
    }
    const cursor = after ?? (correlation === undefined ? head : beginning)
    const onDisconnect = (reason: string) => logDisconnect(client, reason)
    const client: StreamClient = new StreamClient({ response, request, cursor, limits: this.#limits, onDisconnect })
    this.#clients.add(client)
    client.closed.addEventListener('abort', () => this.#clients.delete(client))
    response.writeHead(200, headers).write(greeting)
    void this.#serve(client, request).catch(() => client.end())
  }

  /** Ends every stream. Clients reconnect with their last cursor. */
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
      const until = this.#fanout.cursor ?? (await this.#bus.head())
      if (!coversAll(client.cursor, until)) await this.#replay(client, request, until)
      await this.#fanout.attach(client)
    }
  }

  /** Sends the events that match the request and that `until` covers. */
  async #replay(client: StreamClient, { correlation, filter }: StreamRequest, until: Cursor): Promise<void> {
    const events =
      correlation === undefined
        ? this.#bus.read({ after: client.cursor, until, ...(filter && { filter }) })
        : readLinked(this.#bus, correlation, { after: client.cursor, until })
    for await (const entry of events) {
      if (client.closed.aborted) break
      if (client.wants(entry, await this.#frames.feederOf(entry)))
        await this.#frames.use(entry, frame => client.send(entry, frame))
    }
    client.cursor = unionOf(client.cursor, until)
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

const logDisconnect = ({ cursor }: StreamClient, reason: string) =>
  log.warn?.({ cursor, reason }, 'disconnected a client of the event stream')
