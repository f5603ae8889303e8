import { Hono } from 'hono'
import { z } from 'zod'
import { taskFrames } from '../../ask/event-stream.ts'
import { findTask } from '../../ask/find-task.ts'
import type { Client } from '../../ask/client.ts'
import type { RemoteTaskState } from '../../ask/remote-task-state.ts'
import { correlationOf, isTaskId } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import { askTarget, messageType } from '../../tasks/asked.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { sendStream } from '../send-stream.ts'
import { eventPlan } from './publish.ts'
import { bodyOf, requestKeyOf } from './request.ts'
import { waitOf } from './prefer.ts'
import { taskView } from './task-view.ts'

export const askBody = z.strictObject({
  input: z.unknown().nonoptional(),
  thread: z.string().min(1).max(256).optional(),
  after: z.string().nullable().optional(),
  message: z.string().min(1).max(256).optional(),
  deadline: z
    .string()
    .regex(/^\d{1,6}(\.\d{1,3})?(ms|s|m|h|d)$/, 'expected a duration such as "30s"')
    .optional(),
})
export const messageBody = z.strictObject({ message: z.unknown().nonoptional() })
export const cancelBody = z.strictObject({ reason: z.string().max(1_000).optional() })

/** Requests to agents and workflows, and their tasks. */
export function taskRoutes({ bus, client, maxBodyBytes }: GatewayDeps): Hono<GatewayEnv> {
  const clientOf = (c: GatewayContext): Client => client.as({ ...tenantAndUser(c), source: '/gateway' })
  const viewOf = async (c: GatewayContext, id: string): Promise<RemoteTaskState> => {
    assertMay(c.var.principal, 'read', 'agent.invoke')
    return taskView(bus, await find(c, id))
  }
  const find = async (c: GatewayContext, id: string) => {
    if (isTaskId(id)) return findTask(bus, id, c.var.principal.tenant)
    throw new TidingsError('E_REQUEST_INVALID', `"${id.slice(0, 80)}" is not the id of a task`)
  }
  /** The task once it has ended, or as it is after the seconds that the client wants to wait. */
  const waitFor = async (c: GatewayContext, id: string): Promise<RemoteTaskState> => {
    const seconds = waitOf(c.req.header('prefer'))
    if (seconds === undefined) return viewOf(c, id)
    c.header('preference-applied', 'wait')
    await clientOf(c)
      .handle(id)
      .result({ within: seconds * 1_000 })
      .catch(() => {})
    return viewOf(c, id)
  }
  const ask = async (c: GatewayContext) => {
    assertMay(c.var.principal, 'publish', 'agent.invoke')
    const waits = waitOf(c.req.header('prefer')) !== undefined
    if (waits) assertMay(c.var.principal, 'read', 'agent.invoke')
    const { input, ...options } = await bodyOf(c, askBody, maxBodyBytes)
    const idempotencyKey = requestKeyOf(c)
    const { handle, isRepeated } = await clientOf(c).request(c.req.param('name')!, input, {
      ...options,
      ...(idempotencyKey && { idempotencyKey }),
    } as object)
    c.header('location', `../tasks/${handle.id}`)
    if (isRepeated) c.header('idempotency-replayed', 'true')
    if (!waits) return c.json({ task: handle.id, correlationid: handle.correlation }, 202)
    const view = await waitFor(c, handle.id)
    return c.json(view, view.status === 'running' ? 202 : 200)
  }

  return new Hono<GatewayEnv>()
    .post('/agents/:name', ask)
    .post('/workflows/:name', ask)
    .get('/tasks/:id', async c => c.json(await viewOf(c, c.req.param('id'))))
    .get('/tasks/:id/result', async c => {
      const view = await waitFor(c, c.req.param('id'))
      return c.json(view, view.status === 'running' ? 202 : 200)
    })
    .get('/tasks/:id/stream', async c => {
      assertMay(c.var.principal, 'read', 'agent.invoke')
      const { id } = await find(c, c.req.param('id'))
      const handle = clientOf(c).handle(id)
      const task = { id, parts: (signal: AbortSignal) => handle.stream({ signal }), result: () => handle.result() }
      return sendStream(c, signal => taskFrames(task, signal))
    })
    .delete('/tasks/:id', async c => {
      assertMay(c.var.principal, 'publish', 'agent.cancel')
      const id = c.req.param('id')
      const task = await find(c, id)
      const isEmpty = c.req.header('content-type') === undefined
      const { reason } = isEmpty ? {} : await bodyOf(c, cancelBody, maxBodyBytes)
      if (!task.end) await clientOf(c).handle(id).cancel(reason)
      return c.json(await taskView(bus, task), task.end ? 200 : 202)
    })
    .post('/tasks/:id/messages', async c => {
      assertMay(c.var.principal, 'publish', messageType)
      const id = c.req.param('id')
      const { program: target, end } = await find(c, id)
      const { message } = await bodyOf(c, messageBody, maxBodyBytes)
      const correlationid = correlationOf(id)
      const about = { source: '/gateway', ...tenantAndUser(c), target, subject: id, correlationid }
      const draft = { ...about, type: messageType, replyto: askTarget, data: { message } }
      const operation = `POST /tasks/${id}/messages`
      const { ids, isRepeated } = await eventPlan(bus, c.var.principal, [draft], requestKeyOf(c), operation)
      const isStored = isRepeated && (await bus.get(ids[0]!, correlationid)) !== undefined
      if (end && !isStored)
        throw new TidingsError('E_TASK_ENDED', `task ${id} has ended (${end.type}), so it reads no message`)
      if (!isStored) await bus.publish({ ...draft, id: ids[0]! })
      if (isRepeated) c.header('idempotency-replayed', 'true')
      return c.json({ id: ids[0], task: id, correlationid }, 202)
    })
}

function tenantAndUser({ var: { principal } }: GatewayContext) {
  const { tenant, user } = principal
  return { tenant, ...(user !== undefined && { user }) }
}
