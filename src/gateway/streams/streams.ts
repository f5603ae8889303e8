import type { Bus } from '../../bus/bus.ts'
import { beginning, compactCursor, coversAll, offsetsOf } from '../../bus/cursor.ts'
import type { Cursor } from '../../bus/driver.ts'
import { TidingsError } from '../../errors.ts'
import { log } from '../../bus/telemetry/log.ts'
import { errorResponse, httpError } from '../../http/response.ts'
import { assertMay, type Principal } from '../identity/principal.ts'
import { StreamCatchUp } from './catch-up.ts'
import { Fanout, type OnLogEvent } from './fanout.ts'
import { FrameCache } from './frames.ts'
import { SocketUpgrades } from './sockets.ts'
import { StreamClient, type StreamLimits } from './stream-client.ts'
import type { StreamRequest } from './stream-request.ts'
import { StreamScope } from './stream-scope.ts'
import { type Ending, endings, type Transport } from './transport.ts'

export interface StreamsOptions {
  bus: Bus
  /** Bytes that may be queued for one client of the stream; beyond it the client reads the log at its own pace. Default 256 KiB. */
  maxBufferedBytes?: number
  /** Bytes that may be queued for all clients together; beyond it the slowest are disconnected. Default 64 MiB. */
  maxStreamBytes?: number
  /** Default 8,192. */
  maxStreams?: number
  /** A client of the stream that reads nothing for this long is disconnected. Default 30,000. */
  stallTimeoutMs?: number
  /** How often a comment keeps a quiet stream open. Default 15,000. */
  heartbeatIntervalMs?: number
}

/**
 * Streams of one user or correlation, or all others, which may each get every event. A reader of the log for each, so that many clients that
 * want everything do not delay those that want little.
 */
interface Lane {
  readonly fanout: Fanout
  readonly catchUp: StreamCatchUp
}

export const defaultMaxStreams = 8_192

/**
 * The open streams. A client first reads from the log what it missed, at its own pace. Then it joins the shared reader of
 * the log for as long as it keeps up.
 */
export class Streams {
  /** Requests for a WebSocket; none where the gateway is mounted in another server. */
  readonly upgrades = new SocketUpgrades()
  readonly #maxStreams: number
  readonly #limits: StreamLimits
  readonly #bus: Bus
  readonly #frames: FrameCache
  readonly #narrow: Lane
  readonly #wide: Lane
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
    const { maxBufferedBytes = 256 * 1024, stallTimeoutMs = 30_000 } = options
    this.#maxStreams = maxStreams
    this.#limits = { maxBufferedBytes, stallTimeoutMs }
    this.#bus = bus
    const frames = new FrameCache(bus, maxStreamBytes, () => this.#disconnectSlowest())
    this.#frames = frames
    const onLack = (client: StreamClient, horizon: Cursor) => client.end(this.endingOf(cursorExpired(client, horizon)))
    const openLane = (isPatient: boolean): Lane => {
      const fanout = new Fanout({ bus, frames, isPatient, onLack })
      const target = async () => fanout.cursor ?? bus.head()
      return { fanout, catchUp: new StreamCatchUp({ bus, frames, onLack, target }) }
    }
    this.#narrow = openLane(false)
    this.#wide = openLane(true)
    this.#heartbeat = setInterval(() => this.#sendHeartbeats(), heartbeatIntervalMs).unref()
    // The log starts again at the beginning. A client that reconnects with an old cursor gets an error.
    this.#unsubscribe = bus.onEmptied(() => {
      this.#frames.clear()
      this.#end(endings.emptied)
      for (const { fanout } of [this.#narrow, this.#wide]) fanout.restart()
    })
  }

  /**
   * Resolves when the stream is open. It starts after the cursor in the request, else at the beginning of the
   * correlation, else at the end of the log. @throws E_FORBIDDEN, E_REQUEST_INVALID, E_CURSOR_EXPIRED, E_LOG_UNAVAILABLE, E_BUSY
   */
  async open(request: StreamRequest, principal: Principal, transport: Transport): Promise<void> {
    assertMay(principal, 'read')
    const [head, horizon] = await Promise.all([this.#bus.head(), this.#bus.horizon()])
    const { after, correlation } = request
    if (after !== undefined) offsetsOf(after, this.#bus.partitions)
    if (after !== undefined && !coversAll(head, after)) {
      const problem = `the cursor ${compactCursor(after)} is after the end of the log, ${compactCursor(head)}`
      throw new TidingsError('E_REQUEST_INVALID', `${problem}; the cursor may be of another log`)
    }
    // It left while the log was asked. Its signal does not abort again, so nothing would remove it.
    if (transport.closed.aborted) return
    if (this.#clients.size >= this.#maxStreams) {
      const problem = `${this.#maxStreams} streams are open, the limit of this gateway; close some or run another gateway`
      throw new TidingsError('E_BUSY', problem, { retryable: true })
    }
    const scope = new StreamScope(request, principal, this.#bus)
    const cursor = after ?? (correlation === undefined ? head : beginning)
    const floor = request.isFromOldest ? horizon : beginning
    const onDisconnect = (reason: string) => logDisconnect(client, reason)
    const client: StreamClient = new StreamClient({
      transport,
      scope,
      cursor,
      floor,
      limits: this.#limits,
      onDisconnect,
    })
    if (client.lacks(horizon, beginning)) throw cursorExpired(client, horizon)
    this.#clients.add(client)
    client.closed.addEventListener('abort', () => this.#clients.delete(client))
    client.open()
    void this.#serve(client).catch(() => client.end(endings.failed))
  }

  /** Calls back for each event of the log from now on, of every tenant, from the reader that the streams share. Returns what ends it. */
  watch(onEvent: OnLogEvent): () => void {
    return this.#wide.fanout.watch(onEvent)
  }

  /** What tells a client why its stream ends. */
  endingOf(thrown: unknown): Ending {
    const { status, body } = errorResponse(thrown, this.#bus.redactor)
    return endings.error(status, body.error)
  }

  /** Ends every stream. Clients reconnect with their last cursor. */
  close() {
    clearInterval(this.#heartbeat)
    this.#unsubscribe?.()
    for (const { fanout } of [this.#narrow, this.#wide]) fanout.close()
    this.#end(endings.stop)
  }

  #sendHeartbeats() {
    for (const client of this.#clients)
      if (client.scope.hasEnded) client.end(this.endingOf(credentialEnded()))
      else client.sendHeartbeat(this.#laneOf(client).fanout.sentTo(client))
  }

  #end(ending: Ending) {
    for (const client of this.#clients) client.end(ending)
  }

  async #serve(client: StreamClient): Promise<void> {
    const { request } = client.scope
    const { fanout, catchUp } = this.#laneOf(client)
    // Which instances a correlation feeds follows from its events.
    let mustRead = request.correlation !== undefined && request.task === undefined
    while (!client.isEnded) {
      await client.drained()
      const isBehind = mustRead || !coversAll(client.cursor, fanout.cursor ?? (await this.#bus.head()))
      if (!isBehind && (await fanout.serve(client))) continue
      await catchUp.serve(client)
      mustRead = false
    }
  }

  #laneOf({ scope }: StreamClient): Lane {
    const { correlation, user } = scope.request
    return correlation === undefined && user === undefined ? this.#wide : this.#narrow
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

function cursorExpired({ cursor, scope }: StreamClient, horizon: Cursor): TidingsError {
  const [from, to] = [scope.textOf(cursor), scope.textOf(horizon)]
  return new TidingsError('E_CURSOR_EXPIRED', `events after the cursor ${from} were removed, up to ${to}`, {
    data: { horizon: to },
  })
}

const credentialEnded = () =>
  httpError(401, 'the credential that opened this stream was revoked or has expired', { code: 'E_CREDENTIAL_UNKNOWN' })

const logDisconnect = ({ cursor }: StreamClient, reason: string) =>
  log.warn?.({ cursor, reason }, 'disconnected a client of the event stream')
