import { Hono } from 'hono'
import { z } from 'zod'
import { ThreadHistory, type RequestOfThread } from '../../ask/thread-history.ts'
import { Threads } from '../../ask/threads.ts'
import type { Bus } from '../../bus/bus.ts'
import { inputOf } from '../../tasks/program.ts'
import { bodyOf } from '../commands/request.ts'
import { taskView } from '../commands/task-view.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'

export const renameBody = z.strictObject({ title: z.string().trim().min(1).max(200) })
const maxBodyBytes = 16 * 1024

/** A message of a thread. */
interface ThreadMessage {
  /** Of the user: the id that its interface gave it, else that of its event. Of the agent: the id of its task. */
  readonly id: string
  readonly role: 'user' | 'assistant'
  /** The input or the output. */
  readonly content: unknown
  readonly task: string
  /** RFC 3339, in UTC. */
  readonly at: string
  /** Of the agent: how the task ended, or that it runs. */
  readonly status?: string
}

/** The threads of the user who asks. */
export function threadRoutes({ bus }: GatewayDeps): Hono<GatewayEnv> {
  const threadsOf = (c: GatewayContext) => new Threads(bus, c.var.principal)
  const nameIn = (c: GatewayContext) => c.req.param('thread')!
  return new Hono<GatewayEnv>()
    .use('/threads/*', (c, next) => {
      assertMay(c.var.principal, c.req.method === 'GET' ? 'read' : 'publish', 'agent.invoke')
      return next()
    })
    .get('/threads', async c => c.json({ threads: await threadsOf(c).list() }))
    .get('/threads/:thread', async c => {
      const thread = await threadsOf(c).get(nameIn(c))
      return c.json({ ...thread, messages: await messagesOf(bus, thread.correlationid) })
    })
    .patch('/threads/:thread', async c => {
      const { title } = await bodyOf(c, renameBody, maxBodyBytes)
      return c.json(await threadsOf(c).rename(nameIn(c), title))
    })
    .delete('/threads/:thread', async c => {
      await threadsOf(c).delete(nameIn(c))
      return c.body(null, 204)
    })
}

/** The messages of the newest branch, oldest first. */
async function messagesOf(bus: Bus, correlation: string): Promise<ThreadMessage[]> {
  const history = await ThreadHistory.read(bus, correlation)
  const pairs = await Promise.all(history.branch(history.newest?.task).map(request => pairOf(bus, request)))
  return pairs.flat()
}

async function pairOf(bus: Bus, { task, request, end, message }: RequestOfThread): Promise<ThreadMessage[]> {
  const { status, output, endedAt } = await taskView(bus, {
    id: task,
    program: request.target!,
    start: request,
    ...(end && { end }),
  })
  return [
    { id: message ?? request.id, role: 'user', content: inputOf(request), task, at: request.time },
    { id: task, role: 'assistant', content: output ?? null, task, at: endedAt ?? request.time, status },
  ]
}
