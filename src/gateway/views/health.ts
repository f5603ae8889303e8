import { setTimeout } from 'node:timers/promises'
import { Hono } from 'hono'
import { z } from 'zod'
import type { GroupState } from '../../bus/driver.ts'
import { Pauses } from '../../bus/pauses.ts'
import { findUnavailable } from '../../models/unavailable.ts'
import { WorkerList } from '../../tasks/presence.ts'
import type { QueryIndex } from '../../trace/index/open.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { sendStream } from '../send-stream.ts'
import { GroupHistory, sampledEveryMs } from './group-history.ts'
import { LogActivity } from './log-activity.ts'
import { readQuery } from './query.ts'
import { SharedReading } from './shared-reading.ts'

const groupsQuery = z.strictObject({ since: z.coerce.number().min(0).default(0) })
const noQuery = z.strictObject({})
const maxIndexMs = 500

/** Between two messages of the stream. */
const streamEveryMs = 2_000
/** All who look at the stream at about the same time see the same groups and workers. */
const sharedForMs = 1_000

/** What works, waits and fails now. */
export function healthRoutes({ bus, index: { query }, streams }: GatewayDeps): Hono<GatewayEnv> {
  const activity = new LogActivity(bus, streams)
  const history = new GroupHistory(bus, activity)
  const workers = new WorkerList(bus)

  /** Without the samples, which differ from reader to reader. */
  const groupsOf = async (tenant: string) => {
    const [states, paused, oldest] = await Promise.all([
      history.sample(tenant),
      Pauses.read(bus),
      oldestOf(query, tenant),
    ])
    const unavailable = await findUnavailable(bus, states)
    const isPaused = ({ kind, name }: NamedGroup) => paused.some(each => each.kind === kind && each.name === name)
    const groups = states.map(state => {
      const named = nameOf(state)
      const since = oldest.get(`${named.kind} ${named.name}`)
      const age = since !== undefined && { oldestMs: Math.max(0, Date.now() - since) }
      return { ...state, ...named, ...age, paused: isPaused(named) }
    })
    return { at: new Date().toISOString(), groups, paused, unavailable }
  }
  const streamedGroups = new SharedReading(sharedForMs, groupsOf)
  const streamedWorkers = new SharedReading(sharedForMs, () => workers.list())

  async function* messages(tenant: string, signal: AbortSignal): AsyncGenerator<string> {
    for (let since = 0; !signal.aborted; since = Date.now() - 2 * sampledEveryMs) {
      const [groups, running] = await Promise.all([streamedGroups.get(tenant), streamedWorkers.get('')])
      const data = { ...groups, history: history.since(tenant, since), activity: activity.of(tenant), workers: running }
      yield `event: health\ndata: ${JSON.stringify(data)}\n\n`
      await setTimeout(streamEveryMs, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  return new Hono<GatewayEnv>()
    .get('/groups', async c => {
      assertMay(c.var.principal, 'operate')
      const { since } = readQuery(c, groupsQuery)
      const { tenant } = c.var.principal
      const groups = await groupsOf(tenant)
      return c.json({ ...groups, history: history.since(tenant, since) })
    })
    .get('/workers', async c => {
      assertMay(c.var.principal, 'operate')
      readQuery(c, noQuery)
      return c.json({ workers: await workers.list() })
    })
    .get('/activity', c => {
      assertMay(c.var.principal, 'operate')
      readQuery(c, noQuery)
      return c.json(activity.of(c.var.principal.tenant))
    })
    .get('/health/stream', c => {
      const { principal } = c.var
      assertMay(principal, 'operate')
      return sendStream(c, signal => messages(principal.tenant, signal))
    })
}

/**
 * When the oldest open call to each tool and model was made. The rest of the answer does not wait for an index that is being built.
 */
async function oldestOf(query: QueryIndex, tenant: string): Promise<ReadonlyMap<string, number>> {
  const asked = query(index => index.oldestCalls(tenant)).catch(() => [])
  const calls = await Promise.race([asked, setTimeout(maxIndexMs, [], { ref: false })])
  return new Map(calls.map(({ type, target, since }) => [`${type.split('.')[0]} ${target}`, since]))
}

interface NamedGroup {
  /** `app` for the agents and workflows of an app; `other` for a group of the runtime itself. */
  readonly kind: 'app' | 'tool' | 'model' | 'other'
  readonly name: string
}

function nameOf({ group }: GroupState): NamedGroup {
  const [, kind, name] = /^(app|tool|model)\/(.+)$/s.exec(group) ?? []
  return name === undefined ? { kind: 'other', name: group } : { kind: kind as NamedGroup['kind'], name }
}
