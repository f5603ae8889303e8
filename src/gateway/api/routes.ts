import { Hono } from 'hono'
import { hostsOn } from '../../tasks/hosts.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'

const maxNames = 20

/** The API documents, and the code that makes them, are loaded with the first request. */
export function apiRoutes({ bus, identity }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>()
    .get('/openapi.json', async c => {
      const { openApi } = await import('./openapi.ts')
      const names = Object.keys(await hostsOn(bus)).slice(0, maxNames)
      return c.json(openApi({ isGuarded: identity !== undefined, names }))
    })
    .get('/asyncapi.json', async c => c.json((await import('./asyncapi.ts')).asyncApi(bus.events)))
}
