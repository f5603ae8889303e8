import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { Client } from '../ask/client.ts'
import type { Bus } from '../bus/bus.ts'
import type { McpHttp } from '../mcp/server/http.ts'
import type { Duration } from '../tasks/duration.ts'
import type { LiveIndex } from '../trace/index/live.ts'
import type { Identity } from './identity/identity.ts'
import type { LocalKey } from './identity/local-key.ts'
import type { OriginPolicy } from './identity/origin-policy.ts'
import type { Principal } from './identity/principal.ts'
import type { Streams } from './streams/streams.ts'

/** What the routes work with. */
export interface GatewayDeps {
  readonly bus: Bus
  readonly client: Client
  readonly mcp: McpHttp
  readonly streams: Streams
  readonly originPolicy: OriginPolicy
  /** Undefined: everyone who reaches the gateway may use it. */
  readonly identity: Identity | undefined
  /** Of the person who started a gateway without identity. */
  readonly localKey: LocalKey | undefined
  readonly maxBodyBytes: number
  readonly index: Pick<LiveIndex, 'query' | 'behind'>
  readonly failedFor: Duration
}

/** What the views of a log need besides the log. */
export interface ViewOptions {
  /** The index of the log. Default: one in memory. */
  readonly index?: Pick<LiveIndex, 'query' | 'behind'>
  /** How long failed tasks are on the attention list. Default one day. */
  readonly failedFor?: Duration
}

/** What Hono passes to a route of the gateway. */
export type GatewayEnv = {
  /** `principal`: as the server that the gateway is mounted in knows it. */
  Bindings: HttpBindings & { readonly principal?: Principal | undefined }
  Variables: { principal: Principal }
}
export type GatewayContext = Context<GatewayEnv>
