import { z } from 'zod'
import { taskStates } from '../../trace/index/rows.ts'
import { storedEventShape } from './shapes.ts'

/* What lists and details of what was answer, for the API documents. */

const uuid = z.uuid()

const rowShape = storedEventShape
  .extend({ summary: z.string().max(160), bytes: z.number().int().optional() })
  .describe('An event as lists and traces show it. Its data has only what a trace is made of.')
const listedRowShape = rowShape.extend({
  cursor: z.string().describe('Covers this event and all that are listed after it.'),
})
const next = z.string().optional().describe('Where the list goes on: the `before` or `after` of the next request.')
export const eventListShape = z.object({ events: z.array(listedRowShape), next, head: z.string() })
export const eventDetailsShape = z.object({
  event: z.looseObject({ id: z.string(), type: z.string() }),
  position: z.object({ partition: z.number().int(), offset: z.number().int() }),
  bytes: z.number().int().describe('Size of the data as JSON.'),
  truncated: z.literal(true).optional().describe('The data is larger than 256 KiB and absent.'),
  preview: z.string().optional().describe('The beginning of its JSON.'),
})
export const correlationListShape = z.object({
  correlations: z.array(
    z.object({
      correlation: uuid,
      first: rowShape.optional(),
      events: z.number().int(),
      tasks: z.number().int(),
      live: z.number().int(),
      failed: z.number().int(),
      tokens: z.number(),
      cost: z.number(),
      at: z.number().describe('Time of the last event, ms since the epoch.'),
    }),
  ),
  next,
})
export const listedTaskShape = z.looseObject({
  task: z.string(),
  correlation: uuid,
  tenant: z.string(),
  kind: z.enum(['agent', 'workflow']),
  program: z.string(),
  version: z.number().int(),
  hash: z.string(),
  state: z.enum(taskStates),
  started: z.number(),
  since: z.number().describe('Time of the newest turn, ms since the epoch.'),
  ended: z.number().optional(),
  waitsFor: z.array(z.string()),
  tokens: z.number(),
  cost: z.number(),
  failedWith: z.string().optional().describe('The code of its failure.'),
  shows: z.unknown().optional().describe('What a running task shows in ctx.state.'),
  awaits: z.array(z.string()).optional().describe('The types of the events that a workflow instance waits for.'),
})
export const taskListShape = z.object({ tasks: z.array(listedTaskShape.extend({ turns: z.number().int() })), next })
export const taskTurnsShape = listedTaskShape.extend({
  open: z
    .array(
      z.object({
        id: z.string(),
        type: z.string(),
        target: z.string(),
        since: z.iso.datetime(),
        until: z.iso.datetime().optional(),
      }),
    )
    .describe('Calls and timers without an answer, oldest first: 500 at most.'),
  turns: z.array(z.looseObject({ id: z.string(), version: z.number().int() })),
  total: z.number().int(),
  next: z.number().int().optional().describe('The `after` of the next request.'),
})
export const usageShape = z.object({
  rows: z.array(
    z.object({
      tenant: z.string().optional(),
      program: z.string().nullable().optional(),
      model: z.string().optional(),
      hour: z.number().optional().describe('Its beginning, ms since the epoch.'),
      calls: z.number().int(),
      failed: z.number().int(),
      tokens: z.object({ input: z.number(), output: z.number(), cached: z.number(), reasoning: z.number() }),
      cost: z.number(),
    }),
  ),
})

export const foundShape = z.object({
  event: z.string().optional(),
  task: z.string().optional(),
  correlation: z.string().optional(),
})
