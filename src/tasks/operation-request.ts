import { z } from 'zod'
import { durationPattern } from '../options.ts'
import { isTypePattern } from '../pattern.ts'
import { milliseconds, type Duration } from './duration.ts'
import { effects } from './effects.ts'

/* What an operator may ask for, over HTTP and on the log. The actions and their arguments are those of the command line. */

/** The most tasks or deliveries of one operation. */
const maxLimit = 10_000
const defaultLimit = 1_000

const id = z.string().min(1).max(256)
/** A type or a pattern of types. */
export const typePattern = z
  .string()
  .refine(isTypePattern, 'must be a type or a pattern, such as order.paid, order.* or >')
/** A duration before now or a date: {@link momentOf} reads it. */
export const momentText = z
  .string()
  .refine(isTime, 'must be a duration before now, such as "1h", or a time such as 2026-11-30T09:00:00Z')
const code = z.string().regex(/^E_[A-Z_]{1,60}$/, 'must be an error code, such as E_TOOL_THREW')
const period = { since: momentText.optional(), until: momentText.optional() }

/** Tasks that have not ended. `since`, `until`: when they started. `type`: of the event that started them. `text`: words in their events. */
const liveTasks = z.strictObject({
  agent: id.optional(),
  type: typePattern.optional(),
  text: z.string().min(1).max(256).optional(),
  ...period,
})
/** Failed tasks that were neither retried nor discarded. `since`, `until`: when they failed; default: as the attention list. */
const failedTasks = liveTasks.extend({ code: code.optional() })
/** Deliveries that were set aside. `since`, `until`: when their event was published. */
const deliveries = z.strictObject({
  state: z.enum(['dead', 'parked', 'delayed']).optional(),
  group: id.optional(),
  key: id.optional(),
  type: typePattern.optional(),
  code: code.optional(),
  ...period,
})

/** Tasks of any state. `since`, `until`: when they started. */
const recordedTasks = liveTasks.extend({ state: z.enum(['live', 'completed', 'failed', 'cancelled']).optional() })

const someOf = <T extends z.ZodObject>(filter: T) =>
  filter.refine(given => Object.keys(given).length > 0, 'must have at least one field').optional()

const bulk = { limit: z.number().int().min(1).max(maxLimit).default(defaultLimit), dryRun: z.boolean().default(false) }
const task = id.optional()
/** Several that were chosen one by one. */
const ids = z.array(id).min(1).max(defaultLimit).optional()
const tasks = someOf(failedTasks)
const effectRules = {
  effects: z.record(z.string(), z.enum(effects)).default({}),
  stubs: z.record(z.string(), z.unknown()).default({}),
}

/** A check that exactly one of these fields is there. */
export function exactlyOneOf(...names: readonly string[]) {
  const count = (request: object) => names.filter(name => Object.hasOwn(request, name)).length
  return [(request: object) => count(request) === 1, `must have exactly one of ${names.join(', ')}`] as const
}

const pausable = { kind: z.enum(['agent', 'tool', 'model']), name: id }

/** The body of `POST /operations`, and `request` in the data of `operation.requested`. */
export const operationRequest = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('pause'), ...pausable }),
  z.strictObject({ action: z.literal('resume'), ...pausable }),
  z
    .strictObject({ action: z.literal('retry'), task, tasks, ids, ...bulk })
    .refine(...exactlyOneOf('task', 'tasks', 'ids')),
  z
    .strictObject({
      action: z.literal('cancel'),
      task,
      tasks: someOf(liveTasks),
      ids,
      reason: z.string().max(1_000).default('cancelled by an operator'),
      ...bulk,
    })
    .refine(...exactlyOneOf('task', 'tasks', 'ids')),
  z
    .strictObject({
      action: z.literal('release'),
      delivery: id.optional(),
      deliveries: someOf(deliveries),
      ids,
      ...bulk,
    })
    .refine(...exactlyOneOf('delivery', 'deliveries', 'ids')),
  z
    .strictObject({
      action: z.literal('discard'),
      task,
      tasks,
      delivery: id.optional(),
      deliveries: someOf(deliveries),
      /** Of tasks and deliveries. */
      ids,
      ...bulk,
    })
    .refine(...exactlyOneOf('task', 'tasks', 'delivery', 'deliveries', 'ids')),
  z.strictObject({
    action: z.literal('fork'),
    task: id,
    /** The first turn that is decided again, counted from 1. */
    turn: z.number().int().min(1),
    edits: z.record(z.string(), z.unknown()).default({}),
    reissue: z.boolean().default(false),
    ...effectRules,
  }),
  z
    .strictObject({
      action: z.literal('redrive'),
      task,
      correlation: z.uuid().optional(),
      ...period,
      types: z.array(typePattern).min(1).optional(),
      /** Whose tools and models the effects are about. Default: that of the task, or the only one of the log. */
      app: id.optional(),
      dryRun: bulk.dryRun,
      ...effectRules,
    })
    .refine(...exactlyOneOf('task', 'correlation', 'since')),
  z
    .strictObject({
      action: z.literal('replay'),
      task,
      tasks: someOf(recordedTasks),
      ids,
      /** Whose code decides. Default: that of the agent or the task, or the only one of the log. */
      app: id.optional(),
      ...bulk,
    })
    .refine(...exactlyOneOf('task', 'tasks', 'ids')),
])

/** What `operation.requested` has as its data. */
export const operationRequested = z.strictObject({
  request: operationRequest,
  credential: z.union([z.strictObject({ key: z.string() }), z.strictObject({ roles: z.array(z.string()) })]).optional(),
})

/** What an operator asks for, as the body of a request: what has a default may be absent. */
export type OperationCommand = z.input<typeof operationRequest>
/** What an operator asks for, with its defaults filled in. */
export type OperationRequest = z.output<typeof operationRequest>
export type OperationOf<A extends OperationRequest['action']> = Extract<OperationRequest, { action: A }>
export type DeliveryFilter = z.output<typeof deliveries>
export type TaskFilterRequest = z.output<typeof failedTasks>
export type RecordedTaskFilter = z.output<typeof recordedTasks>

/** A time in a request, as ms since the epoch. `at`: when the request was made. */
export const momentOf = (text: string, at: number): number =>
  durationPattern.test(text) ? at - milliseconds(text as Duration) : Date.parse(text)

function isTime(text: string): boolean {
  return durationPattern.test(text) || (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(Date.parse(text)))
}
