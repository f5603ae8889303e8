import { Hono } from 'hono'
import { z } from 'zod'
import type { Bus } from '../../bus/bus.ts'
import type { Position } from '../../bus/driver.ts'
import { isTaskId, parseId } from '../../bus/ids.ts'
import { notOnLog, TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { shownStateIn } from '../../tasks/task-state.ts'
import { turnType } from '../../tasks/turn.ts'
import { awaitsType, timerTarget } from '../../tasks/waits.ts'
import { readTurns, type TurnDetails } from '../../trace/details.ts'
import { eventsAt, withData } from '../../trace/index/events.ts'
import type { QueryIndex } from '../../trace/index/open.ts'
import { type TaskRow, taskStates } from '../../trace/index/rows.ts'
import { turnIn } from '../../trace/tree.ts'
import { awaitedTypes } from '../../workflows/awaited.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay, type Principal } from '../identity/principal.ts'
import { withoutStacks } from '../without-stacks.ts'
import { InlineBudget } from './bounded.ts'
import { cursor, limitUpTo, moment, readQuery, searchText, shortText } from './query.ts'
import { isVisibleTo } from './rows.ts'

const tasksQuery = z.strictObject({
  program: shortText,
  state: z.enum(taskStates).optional(),
  since: moment,
  until: moment,
  text: searchText,
  failedWith: shortText,
  before: cursor,
  limit: limitUpTo(1_000, 100),
})
const turnsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0),
  limit: limitUpTo(200, 50),
  last: z.coerce.number().int().min(1).max(200).optional(),
})

/** Tasks, and the turns of one. */
export function taskListRoutes({ bus, index: { query } }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>()
    .get('/tasks', async c => {
      const { principal } = c.var
      assertMay(principal, 'read', 'agent.invoke')
      const filter = readQuery(c, tasksQuery)
      const { rows, next } = await query(each => each.taskList({ ...filter, tenant: principal.tenant }))
      return c.json({ tasks: await withShown(bus, query, rows), ...(next !== undefined && { next }) })
    })
    .get('/tasks/:id/turns', async c => {
      const { principal } = c.var
      assertMay(principal, 'read', turnType)
      const task = taskIdOf(c)
      const { after, limit, last } = readQuery(c, turnsQuery)
      const { row, places, end, calls } = await query(each => ({
        row: each.taskList({ task, tenant: principal.tenant, limit: 1 }).rows[0],
        places: each.turnsOf(task, last === undefined ? { after, limit } : { last }),
        end: each.newestOf(task),
        calls: each.openCalls(task),
      }))
      if (!row) throw notOnLog(`no turn of task ${task} is on the log`)
      const [{ turns: total, ...about }] = (await withShown(bus, query, [row])) as [ShownTask]
      const open = (await withData(bus, await eventsAt(bus, calls))).map(({ event }) => openCall(event))
      const turns = (await readTurns(bus, places)).map(turn => shownTurn(turn, principal))
      const version = turns.at(-1)?.version ?? total
      const isLast = last !== undefined || turns.length < limit
      return c.json({
        ...about,
        ...(end && (await endOf(bus, end, principal))),
        open,
        turns,
        total,
        ...(!isLast && { next: version }),
      })
    })
}

function taskIdOf(c: GatewayContext): string {
  const id = c.req.param('id')!
  if (isTaskId(id)) return id
  throw new TidingsError('E_REQUEST_INVALID', `"${id.slice(0, 80)}" is not the id of a task`)
}

/** `shows`: what a running task shows of itself. `awaits`: the types of the events that a workflow instance waits for. */
interface ShownTask extends TaskRow {
  readonly shows?: unknown
  readonly awaits?: readonly string[]
}

/** Adds what running tasks show of themselves. */
async function withShown(bus: Bus, query: QueryIndex, rows: readonly TaskRow[]): Promise<ShownTask[]> {
  const live = rows.filter(({ ended }) => ended === undefined)
  const places = await query(each => live.map(({ task }) => each.newestOf(task)))
  const newest = await withData(
    bus,
    await eventsAt(
      bus,
      places.filter(place => place !== undefined),
    ),
  )
  const shown = newest.map(async ({ event }) => {
    const turn = turnIn(event)
    const [shows, awaits] = turn ? [shownStateIn(event), await awaitedTypes(bus, turn)] : [undefined, []]
    const found = { ...(shows !== undefined && { shows }), ...(awaits.length > 0 && { awaits }) }
    return [parseId(event.id)!.task, found] as const
  })
  const byTask = new Map(await Promise.all(shown))
  return rows.map(row => ({ ...row, ...byTask.get(row.task) }))
}

/** A call without an answer: what it is for, since when it waits, and until when. */
function openCall({ id, type, target, time, deadline, data }: CloudEvent) {
  const { due, until = due, type: awaited } = (data ?? {}) as { due?: string; until?: string; type?: string }
  const end = deadline ?? until
  const what = type === awaitsType ? awaited : (target ?? timerTarget)
  return { id, type, target: what, since: time, ...(end !== undefined && { until: end }) }
}

/** The output, or why it failed, of a task whose newest event is this one. */
async function endOf(bus: Bus, position: Position, principal: Principal): Promise<object> {
  const [stored] = await withData(bus, await eventsAt(bus, [position]))
  if (!stored?.event.type.startsWith('agent.task.') || !isVisibleTo(principal)(stored.event)) return {}
  const { data } = new InlineBudget().take(withoutStacks(stored.event))
  const { program: _, ...outcome } = (data ?? {}) as Record<string, unknown>
  return outcome
}

function shownTurn({ inputs, emitted, ...turn }: TurnDetails, principal: Principal) {
  const budget = new InlineBudget()
  const shown = (event: CloudEvent) => budget.take(withoutStacks(event))
  return { ...turn, inputs: inputs.map(shown), emitted: emitted.filter(isVisibleTo(principal)).map(shown) }
}
