import { randomUUID } from 'node:crypto'
import type { AGUIEvent, Message, RunAgentInput } from '@ag-ui/core'
import { RunAgentInputSchema } from '@ag-ui/core/schemas'
import { Hono } from 'hono'
import type { ClientOrigin } from '../../ask/origin.ts'
import type { ThreadHistory } from '../../ask/thread-history.ts'
import { Threads } from '../../ask/threads.ts'
import { correlationOf } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import type { Schema } from '../../schema.ts'
import { findApproval, notAnApproval } from '../../tasks/approval-find.ts'
import { answerOnce, personOf } from '../commands/approvals.ts'
import { bodyOf } from '../commands/request.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { blobIn, blobUrl } from '../public-address.ts'
import { sendStream } from '../send-stream.ts'
import { answerIn, readMessages, runInputOf, uiAnswer, uiTools, type ResumedAnswer } from './posted.ts'
import { runEvents, type Run } from './run.ts'
import { threadMessages } from './thread-messages.ts'

/** The protocol of AG-UI 1.0. Its thread is a thread of the user, and a run shows one task of it, or what of it is new. */
export function agUiRoutes({ bus, client, maxBodyBytes }: GatewayDeps): Hono<GatewayEnv> {
  const historyOf = (c: GatewayContext, thread: string) => new Threads(bus, c.var.principal).history(thread)
  /** `posted`: what the client has. */
  const stream = (
    c: GatewayContext,
    run: Pick<Run, 'threadId' | 'runId' | 'task'> & Partial<Run>,
    posted: readonly Message[] = [],
  ) => {
    const before = async () => {
      const branch = (await historyOf(c, run.threadId)).branch(run.task)
      const messages = await threadMessages(bus, branch, blobUrl(c.req))
      return [...instructionsIn(posted), ...messages, ...(run.isReplayed ? emptied(posted, messages) : [])]
    }
    const fileUrl = blobUrl(c.req)
    const whole = { isReplayed: false, answered: [], ...run, bus, client: clientOf(c), fileUrl, before }
    return sendStream(c, signal => frames(runEvents(whole, signal)))
  }
  const clientOf = (c: GatewayContext, more: Pick<ClientOrigin, 'tools' | 'replaces'> = {}) =>
    client.as({ ...c.var.principal, source: '/gateway', ...more })

  /** Answers an interrupt of this thread. */
  const answer = async (c: GatewayContext, thread: string, { id, ...given }: ResumedAnswer) => {
    personOf(c.var.principal)
    const { request } = await findApproval(bus, id)
    if (request.correlationid !== thread) throw notAnApproval(id)
    await answerOnce(bus, c.var.principal, { ...given, id, hash: given.hash ?? request.data.hash })
  }

  /** Answers the calls of the user interface that are open. The id of an answer is the same each time, so only the first one is stored. */
  const answerCalls = async (history: ThreadHistory, messages: readonly Message[]): Promise<string[]> => {
    // The ids of calls are made by models, which may use one again in a later step.
    const step = messages.slice(messages.findLastIndex(({ role }) => role === 'assistant') + 1)
    const answers = step.filter(message => message.role === 'tool')
    const answered: string[] = []
    for (const call of history.openUiCalls) {
      const { toolCallId } = call.data as { toolCallId: string }
      const given = answers.findLast(message => message.toolCallId === toolCallId)
      if (!given) continue
      await bus.publish(uiAnswer(call, given))
      answered.push(call.id)
    }
    return answered
  }

  return new Hono<GatewayEnv>()
    .post('/ag-ui/:agent', async c => {
      const { principal } = c.var
      for (const action of ['publish', 'read'] as const) assertMay(principal, action, 'agent.invoke')
      const { threadId, runId, messages, tools, context, resume = [] } = await bodyOf(c, runInput, maxBodyBytes)
      const history = await historyOf(c, threadId)
      const { known, fresh } = await readMessages(bus, messages, history)
      const task = known ?? (fresh.length === 0 ? history.newest?.task : undefined)
      const about = { threadId, runId }
      const answers = resume.map(answerIn)
      for (const each of answers) await answer(c, task === undefined ? '' : correlationOf(task), each)
      if (fresh.length > 0) {
        const input = await runInputOf({ bus, tenant: principal.tenant, blobIn: blobIn(c.req) }, fresh, context)
        const options = { thread: threadId, after: known ?? null, message: fresh.at(-1)!.id }
        const replaces = history.requestAfter(options.after, options.message)?.task ?? null
        const { id } = await clientOf(c, { tools: uiTools(tools), replaces }).ask(c.req.param('agent'), input, options)
        return stream(c, { ...about, task: id }, messages)
      }
      if (task === undefined) throw new TidingsError('E_REQUEST_INVALID', 'there is no message of the user')
      const answered = [...answers.map(({ id }) => id), ...(await answerCalls(history, messages))]
      return stream(c, { ...about, task, answered, isReplayed: answered.length === 0 }, messages)
    })
    .get('/ag-ui/:agent/:thread', async c => {
      assertMay(c.var.principal, 'read', 'agent.invoke')
      const threadId = c.req.param('thread')
      const runId = c.req.query('run') ?? randomUUID()
      const task = (await historyOf(c, threadId)).newest?.task
      return stream(c, { threadId, runId, task, isReplayed: true })
    })
}

const runInput = RunAgentInputSchema.refine(
  ({ threadId, messages }) => [threadId, ...messages.map(({ id }) => id)].every(id => id !== '' && id.length <= 256),
  { error: 'the ids of the thread and of messages must have 1 to 256 characters' },
) as unknown as Schema<RunAgentInput>

/** Instructions that the client keeps for itself. No model reads them, but they stay in its conversation. */
const instructionsIn = (posted: readonly Message[]): Message[] =>
  posted.filter(({ role }) => role === 'system' || role === 'developer')

/** A client keeps its reasoning where a snapshot has none; what is shown again would be there twice. */
const emptied = (posted: readonly Message[], known: readonly Message[]): Message[] =>
  posted.flatMap(({ id, role }) =>
    role === 'reasoning' && !known.some(message => message.id === id) ? [{ id, role, content: '' }] : [],
  )

async function* frames(events: AsyncIterable<AGUIEvent>): AsyncGenerator<string> {
  for await (const event of events) yield `data: ${JSON.stringify(event)}\n\n`
}
