import { Hono } from 'hono'
import { z } from 'zod'
import type { Bus } from '../../bus/bus.ts'
import { addSpending, type Budget, noSpending } from '../../tasks/budget.ts'
import { declaredApps } from '../../tasks/declared-apps.ts'
import { readNewestTurns } from '../../tasks/newest-turns.ts'
import { turnType } from '../../tasks/turn.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { readQuery } from './query.ts'
import { readerFor } from './rows.ts'
import { SharedReading } from './shared-reading.ts'

const maxLooked = 20
const maxShown = 10
const ttlMs = 2_000
const kinds = ['calls', 'events', 'bytes', 'tokens', 'cost'] as const

/** What a correlation has spent of its budget. */
interface SpentBudget {
  readonly correlation: string
  /** Of all that is limited, the largest share that is spent: 1 is all of it. */
  readonly share: number
  readonly used: Partial<Budget>
  readonly limit: Partial<Budget>
}

/** The correlations that are nearest to their budget. */
export function budgetRoutes({ bus, index: { query } }: GatewayDeps): Hono<GatewayEnv> {
  const limits = new SharedReading(ttlMs, () => limitsOf(bus))
  const spending = new SharedReading(ttlMs, correlation => spendingOf(bus, correlation))
  return new Hono<GatewayEnv>().get('/budgets', async c => {
    const { principal } = c.var
    assertMay(principal, 'operate')
    assertMay(principal, 'read', turnType)
    readQuery(c, z.strictObject({}))
    const limit = await limits.get('')
    const { rows } = await query(each => each.actionList({ reader: readerFor(principal), limit: maxLooked }))
    const live = rows.filter(row => row.live > 0)
    const spent = live.map(async ({ correlation }) => shareOf(correlation, await spending.get(correlation), limit))
    const budgets = (await Promise.all(spent)).toSorted((one, other) => other.share - one.share)
    return c.json({ budgets: budgets.slice(0, maxShown) })
  })
}

/** Over all its tasks. */
async function spendingOf(bus: Bus, correlation: string): Promise<Budget> {
  const turns = [...(await readNewestTurns(bus, correlation)).values()]
  return turns.reduce((sum, { spent = {} }) => addSpending(sum, spent), noSpending)
}

function shareOf(correlation: string, total: Budget, limit: Partial<Budget>): SpentBudget {
  const limited = kinds.filter(kind => limit[kind] !== undefined)
  return {
    correlation,
    share: Math.max(0, ...limited.map(kind => total[kind] / limit[kind]!)),
    used: Object.fromEntries(limited.map(kind => [kind, total[kind]])),
    limit,
  }
}

/** Each app has a budget of its own for a correlation; the lowest limit ends it first. */
async function limitsOf(bus: Bus): Promise<Partial<Budget>> {
  const budgets = (await declaredApps(bus)).flatMap(({ budget }) => budget ?? [])
  const lowest = kinds.map(kind => [kind, Math.min(...budgets.map(budget => budget[kind] ?? Infinity))] as const)
  return Object.fromEntries(lowest.filter(([, limit]) => Number.isFinite(limit)))
}
