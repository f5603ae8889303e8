import { Hono } from 'hono'
import { z } from 'zod'
import { defaultTenant } from '../../event.ts'
import { usageColumns } from '../../trace/index/rows.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { moment, readQuery } from './query.ts'

const usageQuery = z.strictObject({
  since: moment,
  until: moment,
  by: z
    .string()
    .transform(list => list.split(','))
    .pipe(z.array(z.enum(usageColumns)))
    .default(['program', 'model']),
})

/** What calls to models cost. */
export function usageRoutes({ index: { query } }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>().get('/usage', async c => {
    const { principal } = c.var
    assertMay(principal, 'read', 'model.result')
    const { by, since, until } = readQuery(c, usageQuery)
    // As with pauses, which all tenants share, an operator of the tenant `default` is one of the whole log.
    const seesAll = by.includes('tenant') && principal.tenant === defaultTenant && principal.may('operate')
    const tenant = seesAll ? undefined : principal.tenant
    return c.json({ rows: await query(each => each.usage({ by: [...new Set(by)], since, until, tenant })) })
  })
}
