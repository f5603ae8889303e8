import { Hono } from 'hono'
import { z } from 'zod'
import type { MissedWake } from '../../bus/driver.ts'
import { startsLike } from '../../tasks/task-start.ts'
import { failedSince, listFailed } from '../../trace/attention/failed-tasks.ts'
import {
  listDeferredItems,
  listMissedWakes,
  nextCommands,
  similarityKey,
  type AttentionItem,
} from '../../trace/attention/list.ts'
import { findUnhosted } from '../../trace/attention/unhosted.ts'
import { slim } from '../../trace/slim.ts'
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

/** A missed timer shows this much later. */
const wakesTtlMs = 30_000

interface AttentionList {
  readonly items: readonly AttentionItem[]
  /** Number of failed tasks that the list leaves out, because newer ones fill it. */
  readonly earlier: number
}

/** What needs a person, within the tenant. */
export function attentionRoutes(deps: GatewayDeps): Hono<GatewayEnv> {
  const reader = new AttentionReader(deps)
  // Reading takes a while where the list is long, so requests that come meanwhile share it.
  const reading = new Map<string, Promise<AttentionList>>()
  const listOf = (tenant: string): Promise<AttentionList> => {
    const list = reading.get(tenant) ?? reader.read(tenant).finally(() => reading.delete(tenant))
    reading.set(tenant, list)
    return list
  }
  return new Hono<GatewayEnv>().get('/attention', async c => {
    const { principal } = c.var
    assertMay(principal, 'operate')
    const { kind, limit } = readQuery(c, attentionQuery)
    const list = await listOf(principal.tenant)
    const items = list.items.filter(item => kind === undefined || item.kind === kind)
    const earlier = kind === undefined || kind === 'failed' ? list.earlier : 0
    const groups = [...Map.groupBy(items, item => similarityKey(item) ?? item).values()]
    return c.json({ items: groups.slice(0, limit).map(shownItem), count: items.length + earlier })
  })
}

/** Finds what needs a person of one tenant. */
class AttentionReader {
  readonly #deps: GatewayDeps
  #wakes: { readonly at: number; readonly found: Promise<MissedWake[]> } | undefined

  constructor(deps: GatewayDeps) {
    this.#deps = deps
  }

  async read(tenant: string): Promise<AttentionList> {
    const { bus, index, failedFor } = this.#deps
    const { query } = index
    const [deferred, wakes, unhosted, { failed, total }] = await Promise.all([
      Array.fromAsync(listDeferredItems(bus)),
      this.#missedWakes().then(found => startsLike(bus, found, { tenant })),
      findUnhosted(bus, query, { tenant }),
      listFailed(bus, query, { since: failedSince(failedFor), tenant }),
    ])
    const own = deferred.filter(({ event }) => event.tenant === tenant)
    return { items: [...own, ...wakes, ...unhosted, ...failed], earlier: total - failed.length }
  }

  #missedWakes(): Promise<MissedWake[]> {
    const now = performance.now()
    if (!this.#wakes || now - this.#wakes.at > wakesTtlMs) {
      const found = Array.fromAsync(listMissedWakes(this.#deps.bus))
      this.#wakes = { at: now, found }
      found.catch(() => (this.#wakes = undefined))
    }
    return this.#wakes.found
  }
}

/** The first item of several like it, with its event as a row. */
function shownItem([first, ...like]: readonly AttentionItem[]): object {
  const item = first!
  const about = { ...item, next: nextCommands(item), ...(like.length > 0 && { more: like.length }) }
  return 'task' in item ? about : { ...about, event: slim(item.event) }
}
