import { z } from 'zod'
import { chatBody } from '../chat/posted.ts'
import { askBody, cancelBody, messageBody } from '../commands/tasks.ts'
import { operationRequest } from '../../tasks/operation-request.ts'
import { renameBody } from '../threads/routes.ts'
import * as shapes from './shapes.ts'
import { mcpDescriptions } from './mcp-descriptions.ts'
import { viewDescriptions } from './view-descriptions.ts'
import { listDescriptions } from './list-descriptions.ts'

/** A route of the gateway, as its OpenAPI document describes it. */
export interface RouteDescription {
  /** As Hono has it: `POST /agents/:name`. */
  readonly route: string
  readonly id: string
  readonly tag: 'agents' | 'events' | 'people' | 'threads' | 'chat' | 'mcp' | 'views' | 'operating'
  readonly summary: string
  readonly description?: string
  readonly query?: Readonly<Record<string, Parameter>>
  readonly headers?: Readonly<Record<string, Parameter>>
  /** Of the body: JSON, unless it is a media type. Absent without a body. */
  readonly body?: z.ZodType | readonly string[]
  readonly isBodyOptional?: true
  /** Without those of errors. A text: the media type of an answer that is not JSON. */
  readonly answers: Readonly<Record<number, Answer>>
  /** Works without a credential. */
  readonly isOpen?: true
}

export interface Parameter {
  readonly description: string
  readonly schema?: z.ZodType
  readonly isRepeated?: true
}

export interface Answer {
  readonly description: string
  /** Absent without a body. */
  readonly body?: z.ZodType | string
  /** Or as an event stream. */
  readonly isStreamable?: true
  readonly headers?: Readonly<Record<string, string>>
}

const key: Parameter = {
  description: 'A second request with this key, within 24 hours, is the same request.',
  schema: z.string().min(1).max(256),
}
const prefer: Parameter = {
  description: '`wait=N`: wait for the result, at most N seconds (60 at most); `wait`: 60 seconds.',
  schema: z.string(),
}
const location = { location: 'Where to look next, relative to this address.' }
const running: Answer = { description: 'The task runs.', body: shapes.taskShape }
const ended: Answer = { description: 'The task has ended; `status` says how.', body: shapes.taskShape }

const ask = (what: 'agent' | 'workflow'): RouteDescription => ({
  route: `POST /${what}s/:name`,
  id: what === 'agent' ? 'askAgent' : 'startWorkflow',
  tag: 'agents',
  summary: what === 'agent' ? 'Ask an agent' : 'Start a workflow',
  description: 'The request is on disk when it is accepted.',
  headers: { 'Idempotency-Key': key, Prefer: prefer },
  body: askBody,
  answers: {
    200: ended,
    202: {
      description: 'Accepted. With `Prefer: wait`, the task, which still runs.',
      body: z.union([shapes.acceptedShape, shapes.taskShape]),
      headers: location,
    },
  },
})

export const routeDescriptions: readonly RouteDescription[] = [
  ask('agent'),
  ask('workflow'),
  {
    route: 'GET /tasks/:id',
    id: 'getTask',
    tag: 'agents',
    summary: 'Show a task',
    answers: { 200: { description: 'The task.', body: shapes.taskShape } },
  },
  {
    route: 'GET /tasks/:id/result',
    id: 'getResult',
    tag: 'agents',
    summary: 'Get the result of a task',
    headers: { Prefer: prefer },
    answers: { 200: ended, 202: running },
  },
  {
    route: 'GET /tasks/:id/stream',
    id: 'streamTask',
    tag: 'agents',
    summary: 'Show what a task does',
    description: 'From its beginning to its end: see docs/ask.md.',
    answers: { 200: { description: 'The parts of the task, as they happen.', body: 'text/event-stream' } },
  },
  {
    route: 'DELETE /tasks/:id',
    id: 'cancelTask',
    tag: 'agents',
    summary: 'Cancel a task',
    description: 'What it called is cancelled too.',
    body: cancelBody,
    isBodyOptional: true,
    answers: {
      200: { ...ended, description: 'It had ended before.' },
      202: { ...running, description: 'It is being cancelled.' },
    },
  },
  {
    route: 'POST /tasks/:id/messages',
    id: 'sayToTask',
    tag: 'agents',
    summary: 'Say something to a running task',
    description: 'A model agent reads it before its next model call.',
    headers: { 'Idempotency-Key': key },
    body: messageBody,
    answers: { 202: { description: 'The message is on disk.', body: shapes.messageAcceptedShape } },
  },
  {
    route: 'POST /blobs',
    id: 'putBlob',
    tag: 'agents',
    summary: 'Store an attachment',
    description: 'Up to 16 MiB. Images except SVG, audio, video, PDF, ZIP, JSON and plain text.',
    body: ['application/octet-stream', 'image/png', 'image/jpeg', 'application/pdf', 'text/plain'],
    answers: { 201: { description: 'The reference of the stored bytes.', body: shapes.blobShape, headers: location } },
  },
  {
    route: 'GET /blobs/:reference',
    id: 'getBlob',
    tag: 'agents',
    summary: 'Read an attachment',
    query: { type: { description: 'Its media type; default application/octet-stream.' } },
    answers: { 200: { description: 'The bytes, as a download.', body: 'application/octet-stream' } },
  },
  {
    route: 'POST /events',
    id: 'publishEvents',
    tag: 'events',
    summary: 'Publish events',
    description: 'One event, or up to 1,000. If one is invalid, nothing is stored.',
    headers: { 'Idempotency-Key': key },
    body: z.union([shapes.eventShape, z.array(shapes.eventShape).min(1).max(1_000)]),
    answers: { 202: { description: 'The events are on disk.', body: shapes.publishedShape, headers: location } },
  },
  {
    route: 'GET /events/stream',
    id: 'streamEvents',
    tag: 'events',
    summary: 'Events as they happen',
    description:
      'Server-sent events. The id of each is a cursor: a client that reconnects with it misses nothing. See the AsyncAPI document.',
    query: {
      user: { description: 'Only events of this user.' },
      correlation: { description: 'Only what follows from one request, from its beginning.' },
      task: { description: 'Only events of this task.' },
      type: { description: 'A type or a pattern, such as order.*.', isRepeated: true },
      after: { description: 'Start after this cursor. Default: the end of the log.' },
      as: { description: '`message` leaves out the `event:` lines.' },
      rows: { description: '`1`: rows instead of events, as in GET /events.' },
    },
    headers: { 'Last-Event-ID': { description: 'As `after`, which it precedes.' } },
    answers: { 200: { description: 'The stream.', body: 'text/event-stream' } },
  },
  {
    route: 'GET /approvals',
    id: 'listApprovals',
    tag: 'people',
    summary: 'List what waits for this person',
    answers: { 200: { description: 'Oldest first.', body: z.object({ approvals: z.array(shapes.approvalShape) }) } },
  },
  {
    route: 'POST /approvals/:id',
    id: 'answerApproval',
    tag: 'people',
    summary: 'Grant or deny a request for approval',
    headers: { 'Idempotency-Key': { ...key, description: 'The same decision of the same person is a repetition.' } },
    body: shapes.answerShape,
    answers: { 200: { description: 'The answer counts.', body: shapes.decisionShape } },
  },
  {
    route: 'GET /threads',
    id: 'listThreads',
    tag: 'threads',
    summary: 'List the threads of the user',
    answers: {
      200: {
        description: 'The last one that was used first.',
        body: z.object({ threads: z.array(shapes.threadShape) }),
      },
    },
  },
  {
    route: 'GET /threads/:thread',
    id: 'getThread',
    tag: 'threads',
    summary: 'Show a thread with its messages',
    answers: {
      200: {
        description: 'The newest branch, oldest message first.',
        body: shapes.threadShape.extend({ messages: z.array(shapes.threadMessageShape) }),
      },
    },
  },
  {
    route: 'PATCH /threads/:thread',
    id: 'renameThread',
    tag: 'threads',
    summary: 'Rename a thread',
    body: renameBody,
    answers: { 200: { description: 'The thread.', body: shapes.threadShape } },
  },
  {
    route: 'DELETE /threads/:thread',
    id: 'deleteThread',
    tag: 'threads',
    summary: 'Delete a thread',
    description: 'Its events stay on the log as long as all events.',
    answers: { 204: { description: 'It is gone.' } },
  },
  {
    route: 'POST /ui/chat/:agent',
    id: 'chat',
    tag: 'chat',
    summary: 'Send a message, or the answer of a person',
    description: 'The UI message stream of the AI SDK, version 1: see docs/chat.md.',
    body: chatBody,
    answers: { 200: { description: 'The message, as it is written.', body: 'text/event-stream' } },
  },
  {
    route: 'GET /ui/chat/:agent/:chat/stream',
    id: 'resumeChat',
    tag: 'chat',
    summary: 'Resume the answer that is being written',
    answers: {
      200: { description: 'The whole message from its beginning.', body: 'text/event-stream' },
      204: { description: 'Nothing runs.' },
    },
  },
  {
    route: 'GET /ui/chat/:agent/:chat',
    id: 'getChat',
    tag: 'chat',
    summary: 'The messages of a chat',
    answers: { 200: { description: 'Messages of the AI SDK.', body: shapes.uiMessagesShape } },
  },
  {
    route: 'DELETE /ui/chat/:agent/:chat',
    id: 'stopChat',
    tag: 'chat',
    summary: 'Stop the answer that is being written',
    answers: { 204: { description: 'Nothing runs, or it is being cancelled.' } },
  },
  {
    route: 'POST /ag-ui/:agent',
    id: 'runAgent',
    tag: 'chat',
    summary: 'Run an agent for a client of AG-UI',
    description: 'Events of AG-UI 1.0: see docs/ag-ui.md.',
    body: shapes.agUiRunShape,
    answers: { 200: { description: 'The events of the run.', body: 'text/event-stream' } },
  },
  {
    route: 'GET /ag-ui/:agent/:thread',
    id: 'connectAgent',
    tag: 'chat',
    summary: 'Show a thread to a client of AG-UI',
    query: { run: { description: 'The id of the run. Default: a new one.', schema: z.string() } },
    answers: { 200: { description: 'The messages, and what the agent does.', body: 'text/event-stream' } },
  },
  ...mcpDescriptions,
  ...listDescriptions,
  {
    route: 'POST /tickets',
    id: 'createTicket',
    tag: 'operating',
    summary: 'Get a ticket for one stream',
    description: 'For browsers, which cannot send a header with it. It is valid once, for 30 seconds.',
    answers: { 201: { description: 'Pass it as the parameter `ticket`.', body: shapes.ticketShape } },
  },
  {
    route: 'POST /operations',
    id: 'operate',
    tag: 'operating',
    summary: 'Give a command of an operator',
    description:
      'Pause, resume, retry, cancel, release, discard, fork, redrive or replay, one or many. A worker that hosts agents checks the policy and executes.',
    headers: { 'Idempotency-Key': key, Prefer: prefer },
    body: operationRequest,
    answers: {
      200: { description: 'It has ended; `status` says how.', body: shapes.operationShape },
      202: {
        description: 'Accepted. With `Prefer: wait`, the operation, which still runs.',
        body: z.union([shapes.operationAcceptedShape, shapes.operationShape]),
        headers: location,
      },
    },
  },
  {
    route: 'GET /operations',
    id: 'listOperations',
    tag: 'operating',
    summary: 'List operations',
    description: 'Newest first. Of the lists in a result, only the first id and the first task are there.',
    query: {
      before: { description: 'The `next` of the page before.' },
      limit: { description: 'At most this many, up to 200.', schema: z.number().int().min(1).max(200) },
    },
    answers: {
      200: {
        description: 'The operations of the tenant.',
        body: z.object({ operations: z.array(shapes.operationShape), next: z.string().optional() }),
      },
    },
  },
  {
    route: 'GET /operations/:id',
    id: 'getOperation',
    tag: 'operating',
    summary: 'Show an operation',
    headers: { Prefer: prefer },
    answers: { 200: { description: 'The operation.', body: shapes.operationShape } },
  },
  {
    route: 'GET /health',
    id: 'getHealth',
    tag: 'operating',
    summary: 'Whether the log can be written and read now',
    isOpen: true,
    answers: {
      200: { description: 'It can.', body: shapes.healthShape },
      503: { description: 'It cannot.', body: shapes.healthShape },
    },
  },
  {
    route: 'GET /metrics',
    id: 'getMetrics',
    tag: 'operating',
    summary: 'Metrics for Prometheus',
    answers: { 200: { description: 'In the text format of Prometheus.', body: 'text/plain' } },
  },
  ...viewDescriptions,
  {
    route: 'GET /openapi.json',
    id: 'getOpenApi',
    tag: 'operating',
    summary: 'This document',
    answers: { 200: { description: 'OpenAPI 3.1.', body: z.looseObject({ openapi: z.string() }) } },
  },
  {
    route: 'GET /asyncapi.json',
    id: 'getAsyncApi',
    tag: 'operating',
    summary: 'The streams, and the event types of the app',
    answers: { 200: { description: 'AsyncAPI 3.1.', body: z.looseObject({ asyncapi: z.string() }) } },
  },
]
