import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { Client } from '../ask/client.ts'
import type { Bus } from '../bus/bus.ts'
import type { Approvers } from './identity/approvers.ts'
import type { OriginPolicy } from './identity/origin-policy.ts'
import type { Principal } from './identity/principal.ts'
import type { Streams } from './streams/streams.ts'

/** What the routes work with. */
export interface GatewayDeps {
  readonly bus: Bus
  readonly client: Client
  readonly streams: Streams
  readonly originPolicy: OriginPolicy
  readonly approvers: Approvers
  readonly maxBodyBytes: number
}

/** What Hono passes to a route of the gateway. */
export type GatewayEnv = { Bindings: HttpBindings; Variables: { principal: Principal } }
export type GatewayContext = Context<GatewayEnv>
