import { randomUUIDv7 } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import type { Bus } from '../../bus/bus.ts'
import { HttpTap, type HttpTapOptions } from '../http/http-tap.ts'
import { McpTap } from '../mcp/mcp-tap.ts'
import { ModelTap, type ModelTapOptions } from '../model/model-tap.ts'
import { Recorder, type RecorderOptions, type TapStatus } from '../recorder.ts'
import { correlatedBy, type CallOrigin, type OriginHeaders } from '../request-origin.ts'
import { expressMiddleware, type ExpressMiddleware } from './express.ts'
import { honoMiddleware } from './hono.ts'
import { tapTransport, type McpTransport } from './mcp-transport.ts'
import { observedFetch } from './observed-fetch.ts'

/** What has a log: the results of `connect()` and `start()`. */
export interface BusHolder {
  readonly bus: Bus
}

/** What `startTap` takes besides the log. */
export interface StartTapOptions extends Pick<RecorderOptions, 'onStatus'> {
  /** Name of the tap on the log: lower-case words, joined by dots. */
  readonly name: string
}

/** The options of a `fetch` that is recorded. */
export interface TapFetchOptions {
  /** What sends the requests. Default: `globalThis.fetch`. */
  readonly fetch?: typeof globalThis.fetch
}

/** For whom the calls of a transport are made, and to what they belong. */
export interface TapTransportOptions {
  readonly user?: string
  readonly tenant?: string
  /** W3C trace context: its trace id becomes the correlation. Default: a new correlation for the connection. */
  readonly traceparent?: string
}

/** Records calls in the process that makes them or answers them. */
export interface Tap {
  readonly status: TapStatus
  /** A `fetch` for clients of models: the SDKs of OpenAI and Anthropic, the AI SDK, and what speaks their protocols. Other requests only pass. */
  modelFetch(options?: TapFetchOptions & ModelTapOptions): typeof globalThis.fetch
  /** A `fetch` for clients of MCP servers over HTTP. */
  mcpFetch(options?: TapFetchOptions & OriginHeaders): typeof globalThis.fetch
  /** Records the calls of tools over a transport of an MCP client. Returns the transport, which is changed. */
  mcpTransport<T extends McpTransport>(transport: T, options?: TapTransportOptions): T
  /** Middleware that records named routes. Put it before what reads the body. */
  express(options: HttpTapOptions): ExpressMiddleware
  /** Middleware that records named routes. */
  hono(options: HttpTapOptions): MiddlewareHandler
  /** Writes what waits, for five seconds at most. */
  stop(): Promise<void>
}

/**
 * Starts to record, in this process. Calls are recorded while they are made: none waits longer than 50 ms for the log, and none fails because of it. `log`: what `connect()`
 * or `start()` returned; or a function that returns a promise of it, which is called until it succeeds and whose log is closed with the tap.
 * @throws E_APP_INVALID if the name is not valid
 * @example
 * const tap = startTap(() => connect(), { name: 'desk' })
 * const middleware = tap.express({ routes: ['POST /reports', 'GET /reports/:id'] })
 */
export function startTap(log: BusHolder | (() => Promise<BusHolder>), { name, onStatus }: StartTapOptions): Tap {
  let opened: (BusHolder & { close?(): Promise<void> }) | undefined
  const open = async () => (typeof log === 'function' ? (opened = await log()) : log).bus
  const recorder = new Recorder({ name, open, onStatus })
  const started = recorder.start()
  const taps: { stop(): Promise<void> }[] = []
  const kept = <T extends { stop(): Promise<void> }>(tap: T): T => {
    taps.push(tap)
    return tap
  }
  return {
    get status() {
      return recorder.status
    },
    modelFetch({ fetch: send = globalThis.fetch, ...options } = {}) {
      const tap = kept(new ModelTap(recorder, options))
      return observedFetch(head => tap.observe(head), send)
    },
    mcpFetch({ fetch: send = globalThis.fetch, ...options } = {}) {
      const tap = kept(new McpTap(recorder, options))
      return observedFetch(head => tap.observe(head), send)
    },
    mcpTransport: (transport, options = {}) => tapTransport(recorder, transport, originOf(options)),
    express: options => expressMiddleware(kept(new HttpTap(recorder, options))),
    hono: options => honoMiddleware(kept(new HttpTap(recorder, options))),
    async stop() {
      await started
      await Promise.all(taps.map(tap => tap.stop()))
      await recorder.stop()
      await opened?.close?.()
    },
  }
}

const originOf = ({ traceparent, ...options }: TapTransportOptions): CallOrigin => ({
  correlationid: randomUUIDv7(),
  ...options,
  ...correlatedBy(traceparent),
})
