import { Hono } from 'hono'
import { z } from 'zod'
import type { Bus } from '../../bus/bus.ts'
import { startsLike } from '../../tasks/task-start.ts'
import { failedSince, findFailed } from '../../trace/attention/failed-tasks.ts'
import { listAttention, nextCommands, similarityKey, type AttentionItem } from '../../trace/attention/list.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { limitUpTo, readQuery } from './query.ts'

const kinds = [
  'dead',
  'parked',
  'delayed',
  'overdue',
  'unarmed',
  'unhosted',
  'failed',
] satisfies AttentionItem['kind'][]
const attentionQuery = z.strictObject({ kind: z.enum(kinds).optional(), limit: limitUpTo(1_000, 200) })

/** Reading the list takes a while where it is long, so requests that come together share one. */
const cacheTtlMs = 1_000
const maxFailed = 1_000

/** What needs a person, within the tenant. */
export function attentionRoutes(deps: GatewayDeps): Hono<GatewayEnv> {
  const cache = new Map<string, { readonly at: number; readonly items: Promise<AttentionItem[]> }>()
  const itemsOf = (tenant: string): Promise<AttentionItem[]> => {
    const now = performance.now()
    for (const [key, { at }] of cache) if (now - at >= cacheTtlMs) cache.delete(key)
    const cached = cache.get(tenant) ?? { at: now, items: readItems(deps, tenant) }
    cache.set(tenant, cached)
    return cached.items
  }
  return new Hono<GatewayEnv>().get('/attention', async c => {
    const { principal } = c.var
    assertMay(principal, 'operate')
    const { kind, limit } = readQuery(c, attentionQuery)
    const items = (await itemsOf(principal.tenant)).filter(item => kind === undefined || item.kind === kind)
    const groups = [...Map.groupBy(items, item => similarityKey(item) ?? item).values()]
    return c.json({ items: groups.slice(0, limit).map(shownItem), count: items.length })
  })
}

async function readItems({ bus, query, failedFor }: GatewayDeps, tenant: string): Promise<AttentionItem[]> {
  const items: AttentionItem[] = []
  for await (const item of listAttention(bus, query)) if (await isOf(bus, item, tenant)) items.push(item)
  const failed = await findFailed(bus, query, { since: failedSince(failedFor), tenant, limit: maxFailed })
  return [...items, ...failed.reverse()]
}

const isOf = async (bus: Bus, item: AttentionItem, tenant: string): Promise<boolean> =>
  'task' in item ? (await startsLike(bus, [item], { tenant })).length > 0 : item.event.tenant === tenant

/** The first item of several like it, without the data of its event. */
function shownItem([first, ...like]: readonly AttentionItem[]): object {
  const item = first!
  const about = { ...item, next: nextCommands(item), ...(like.length > 0 && { more: like.length }) }
  return 'task' in item ? about : { ...about, event: { ...item.event, data: null } }
}
