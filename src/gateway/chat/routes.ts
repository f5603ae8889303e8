import { Hono } from 'hono'
import type { UIMessage, UIMessageChunk } from 'ai'
import type { RequestOfThread } from '../../ask/thread-history.ts'
import { Threads } from '../../ask/threads.ts'
import { correlationOf } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import { notAnApproval } from '../../tasks/approval-find.ts'
import { inputOf } from '../../tasks/program.ts'
import { answerOnce, type PostedAnswer } from '../commands/approvals.ts'
import { bodyOf } from '../commands/request.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { blobIn, blobUrl } from '../public-address.ts'
import { sendStream } from '../send-stream.ts'
import { messageChunks, type StreamedMessage } from './message-stream.ts'
import { chatBody, inputOfMessages, readPost } from './posted.ts'
import { uiMessages } from './ui-messages.ts'

/** After its end a task is streamed whole for this long, because a client that lost its connection just before asks for it. */
const resumableMs = 30_000

/** The protocol of `useChat` (AI SDK UI, message stream version 1). A chat is a thread; one task is one message of the assistant. */
export function chatRoutes({ bus, client, maxBodyBytes }: GatewayDeps): Hono<GatewayEnv> {
  const clientOf = (c: GatewayContext, replaces: string | null = null) =>
    client.as({ ...c.var.principal, source: '/gateway', replaces })
  const historyOf = (c: GatewayContext, chat: string) => new Threads(bus, c.var.principal).history(chat)
  const messageOf = (c: GatewayContext): Omit<StreamedMessage, 'task'> => ({
    bus,
    client: clientOf(c),
    fileUrl: blobUrl(c.req),
  })
  const stream = (c: GatewayContext, task: string, answered?: string) => {
    const message = { ...messageOf(c), task, ...(answered !== undefined && { answered }) }
    return sendStream(c, signal => frames(messageChunks(message, signal)), {
      'x-vercel-ai-ui-message-stream': 'v1',
    })
  }

  return new Hono<GatewayEnv>()
    .post('/ui/chat/:agent', async c => {
      const { principal } = c.var
      for (const action of ['publish', 'read'] as const) assertMay(principal, action, 'agent.invoke')
      const body = await bodyOf(c, chatBody, maxBodyBytes)
      const history = await historyOf(c, body.id)
      const posted = readPost(body, history)
      if (posted.kind === 'answers') {
        if (history.branch(posted.task).length === 0) throw unknownMessage(posted.task)
        const isForeign = ({ id }: PostedAnswer) => !id.startsWith(correlationOf(posted.task))
        const foreign = posted.answers.find(isForeign)
        if (foreign) throw notAnApproval(foreign.id)
        for (const answer of posted.answers) await answerOnce(bus, principal, answer)
        return stream(c, posted.task, posted.answers[0]!.id)
      }
      const { after, messages, known, isAnother } = posted
      const input = await inputOfMessages({ bus, tenant: principal.tenant, blobIn: blobIn(c.req) }, messages)
      const agent = c.req.param('agent')
      const hasSameInput = () => JSON.stringify(inputOf(known!.request)) === JSON.stringify(bus.redactor.value(input))
      if (known && !isAnother && known.request.target === agent && hasSameInput()) return stream(c, known.task)
      const options = { thread: body.id, after, message: messages.at(-1)!.id }
      const handle = await clientOf(c, known?.task).ask(agent, input, options)
      return stream(c, handle.id)
    })
    .get('/ui/chat/:agent/:chat/stream', async c => {
      assertMay(c.var.principal, 'read', 'agent.invoke')
      const { newest } = await historyOf(c, c.req.param('chat'))
      return newest && isResumable(newest, bus.now()) ? stream(c, newest.task) : c.body(null, 204)
    })
    .get('/ui/chat/:agent/:chat', async c => {
      assertMay(c.var.principal, 'read', 'agent.invoke')
      const history = await historyOf(c, c.req.param('chat'))
      const branch = history.branch(history.newest?.task)
      const messages: UIMessage[] = []
      for (const request of branch) messages.push(...(await uiMessages(messageOf(c), request)))
      return c.json({ messages })
    })
    .delete('/ui/chat/:agent/:chat', async c => {
      assertMay(c.var.principal, 'publish', 'agent.cancel')
      const { newest } = await historyOf(c, c.req.param('chat'))
      if (newest && !newest.end) await clientOf(c).handle(newest.task).cancel('stopped by the user')
      return c.body(null, 204)
    })
}

const unknownMessage = (id: string) =>
  new TidingsError('E_NOT_FOUND', `the chat has no answer with the id ${JSON.stringify(id.slice(0, 80))}`)

const isResumable = ({ end }: RequestOfThread, now: number): boolean => !end || now - Date.parse(end.time) < resumableMs

async function* frames(chunks: AsyncIterable<UIMessageChunk>): AsyncGenerator<string> {
  for await (const chunk of chunks) yield `data: ${JSON.stringify(chunk)}\n\n`
  yield 'data: [DONE]\n\n'
}
