import { z } from 'zod'

/* What requests and answers of the gateway look like, for its API documents. */

const time = z.iso.datetime()
const uuid = z.uuid()

export const errorShape = z.object({
  error: z.object({
    code: z.string().describe('See docs/errors.md.'),
    message: z.string().describe('What happened, and why.'),
    next: z.string().optional().describe('What to do next.'),
    retryable: z.boolean().optional(),
  }),
})

export const eventShape = z
  .object({
    type: z.string().describe('Dotted lower-case words, such as order.paid.'),
    data: z.unknown().optional(),
    id: z.string().max(240).optional().describe('A second event with this id has no effect.'),
    subject: z.string().optional(),
    correlationid: uuid.optional(),
    causationid: z.string().optional(),
    target: z.string().optional().describe('The agent that agent.invoke, agent.message or agent.cancel is for.'),
    traceparent: z.string().optional(),
  })
  .describe('An event to publish: CloudEvents 1.0 in JSON, without the attributes that the gateway sets.')

export const storedEventShape = z
  .looseObject({
    specversion: z.literal('1.0'),
    id: z.string(),
    source: z.string(),
    type: z.string(),
    time,
    tenant: z.string(),
    user: z.string().optional(),
    correlationid: uuid,
    subject: z.string().optional(),
    causationid: z.string().optional(),
    target: z.string().optional(),
    call: z.string().optional(),
    data: z.unknown(),
  })
  .describe('An event of the log: CloudEvents 1.0 in JSON, with the extension attributes of docs/wire-format.md.')

export const frameShape = z
  .union([
    z.object({ cursor: z.string(), event: storedEventShape.optional() }),
    z.object({ signal: storedEventShape }),
    z.object({ error: errorShape.shape.error }),
  ])
  .describe('With a cursor alone: how far the stream is.')

export const publishedShape = z.object({
  correlationid: uuid,
  correlationids: z.array(uuid).optional(),
  ids: z.array(z.string()),
  duplicates: z.array(z.string()).optional(),
  linked: z.array(uuid).optional(),
})

export const taskShape = z.object({
  task: z.string(),
  target: z.string(),
  correlationid: uuid,
  status: z.enum(['running', 'completed', 'failed', 'cancelled']),
  requestedAt: time,
  endedAt: time.optional(),
  user: z.string().optional(),
  state: z.unknown().optional().describe('What a running task shows in ctx.state.'),
  output: z.unknown().optional(),
  error: errorShape.shape.error.optional(),
})

export const acceptedShape = z.object({ task: z.string(), correlationid: uuid })
export const messageAcceptedShape = z.object({ id: z.string(), task: z.string(), correlationid: uuid })

export const approvalShape = z.looseObject({ id: z.string(), name: z.string(), hash: z.string(), what: z.unknown() })
export const decisionShape = z.object({
  id: z.string(),
  decision: z.enum(['grant', 'deny']),
  by: z.string(),
  at: time,
})
export const answerShape = z.strictObject({
  decision: z.enum(['grant', 'deny']),
  hash: z.string().describe('The hash of the approval that the person was shown.'),
  comment: z.string().max(4_000).optional(),
  content: z.looseObject({}).optional().describe('To grant a request with a `form`: what the person filled in.'),
})

export const threadShape = z.object({
  thread: z.string(),
  title: z.string(),
  target: z.string(),
  correlationid: uuid,
  createdAt: time,
  updatedAt: time,
})
export const threadMessageShape = z.object({
  id: z.string(),
  role: z.enum(['user', 'assistant']),
  content: z.unknown(),
  task: z.string(),
  at: time,
  status: z.string().optional(),
})

export const blobShape = z.object({ blob: z.string(), bytes: z.number().int(), mediaType: z.string() })
export const ticketShape = z.object({ ticket: z.string(), expiresAt: time })
export const operationAcceptedShape = z.object({ operation: uuid })
export const operationShape = z.object({
  operation: uuid,
  status: z.enum(['requested', 'completed', 'failed']),
  request: z.looseObject({ action: z.string() }),
  user: z.string().optional(),
  requestedAt: time,
  endedAt: time.optional(),
  result: z
    .object({
      found: z.number().int().describe('How many tasks, deliveries or events the request selects.'),
      done: z.number().int().describe('Of these: what this operation changed.'),
      unchanged: z.number().int().describe('What was so before.'),
      refused: z.number().int(),
      ids: z.array(z.string()).describe('The first 100.'),
      started: z.array(z.object({ correlation: z.string(), task: z.string().optional() })).optional(),
      refusals: z.array(z.object({ id: z.string(), error: errorShape.shape.error })).optional(),
      checked: z.number().int().optional().describe('Of a replay: tasks that were decided again.'),
      same: z.number().int().optional(),
      diverged: z.number().int().optional(),
      failed: z.number().int().optional().describe('Tasks that could not be replayed.'),
      divergences: z
        .array(z.looseObject({ task: z.string(), turn: z.number().int(), what: z.string() }))
        .optional()
        .describe('The first 20.'),
      skipped: z.array(z.object({ task: z.string(), why: z.string() })).optional(),
    })
    .optional(),
  error: errorShape.shape.error.optional(),
})
export const healthShape = z.looseObject({ status: z.enum(['ok', 'unavailable']) })
export const uiMessagesShape = z.object({ messages: z.array(z.looseObject({ id: z.string(), role: z.string() })) })

const agUiId = z.string().min(1).max(256)
export const agUiRunShape = z
  .looseObject({
    threadId: agUiId,
    runId: z.string(),
    messages: z.array(z.looseObject({ id: agUiId, role: z.string() })),
    tools: z.array(z.looseObject({ name: z.string(), description: z.string() })).optional(),
    context: z.array(z.looseObject({ description: z.string(), value: z.string() })).optional(),
    resume: z.array(z.looseObject({ interruptId: z.string(), status: z.enum(['resolved', 'cancelled']) })).optional(),
  })
  .describe('RunAgentInput of AG-UI 1.0.')

/** The JSON Schema of what a client sends, as both API documents contain it. */
export function schemaOf(schema: z.ZodType): object {
  const { $schema: _, ...form } = z.toJSONSchema(schema, { io: 'input', reused: 'inline' })
  return form
}
