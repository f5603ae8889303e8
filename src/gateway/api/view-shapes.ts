import { z } from 'zod'

/* What the views of the gateway answer, for its API documents. */

const jsonSchemaShape = z.record(z.string(), z.unknown()).describe('A JSON Schema.')
const program = z.looseObject({
  name: z.string(),
  app: z.string(),
  version: z.number().int().optional(),
  hash: z.string().optional(),
  description: z.string().optional(),
  input: jsonSchemaShape.optional(),
  on: z.array(z.string()).optional(),
})

export const infoShape = z.object({
  version: z.string(),
  log: z.object({
    bus: z.string(),
    durability: z.object({ survives: z.enum(['nothing', 'process', 'power']), detail: z.string() }),
    partitions: z.number().int(),
    head: z.string().describe('A cursor: the end of the log.'),
    horizon: z.string().describe('A cursor: up to here, events were removed.'),
    retention: z.number().optional().describe('How long events stay, in ms.'),
    index: z.object({ behind: z.number().int().describe('How many events the index of the lists has not read.') }),
  }),
  identity: z.boolean().describe('Whether requests need a credential.'),
  principal: z.object({
    tenant: z.string(),
    user: z.string().optional(),
    rights: z.object({ publish: z.boolean(), read: z.boolean(), approve: z.boolean(), operate: z.boolean() }),
  }),
  apps: z.array(
    z.object({
      app: z.string(),
      budget: z.record(z.string(), z.number()).optional().describe('What one correlation may spend.'),
    }),
  ),
  agents: z.array(program),
  workflows: z.array(program),
  tools: z.array(z.looseObject({ name: z.string() })),
  models: z.array(z.looseObject({ name: z.string() })),
  types: z.array(z.object({ type: z.string(), schema: jsonSchemaShape.optional() })),
})

const spending = z.record(z.enum(['calls', 'events', 'bytes', 'tokens', 'cost']), z.number().optional())

export const budgetsShape = z.object({
  budgets: z.array(
    z.object({
      correlation: z.uuid(),
      share: z.number().describe('Of what is limited, the largest share that is spent: 1 is all of it.'),
      used: spending,
      limit: spending,
    }),
  ),
})

const numbers = z.array(z.number().nullable())

export const groupsShape = z.object({
  at: z.iso.datetime(),
  groups: z.array(
    z.object({
      group: z.string(),
      kind: z.enum(['app', 'tool', 'model', 'other']),
      name: z.string(),
      mode: z.enum(['shared', 'sharded']),
      lag: z.number().int(),
      inFlight: z.number().int(),
      oldestMs: z
        .number()
        .optional()
        .describe('Of a tool or model: the age of the oldest call of the tenant that has no answer.'),
      paused: z.boolean(),
    }),
  ),
  paused: z.array(z.object({ kind: z.enum(['agent', 'tool', 'model']), name: z.string() })),
  unavailable: z
    .array(
      z.object({
        model: z.string(),
        since: z.iso.datetime(),
        reason: z.string(),
        nextProbe: z.iso.datetime().optional(),
      }),
    )
    .describe('Models whose provider keeps failing. Without `nextProbe`, a probe runs.'),
  history: z
    .object({
      everyMs: z.number().int(),
      from: z.number().int().describe('Time of the first sample, ms since the epoch.'),
      series: z.record(z.string(), z.record(z.string(), numbers)),
    })
    .describe('`lag` and `inFlight` by group; `perSecond`, `failed` and `retries` under `total`. Null: nobody looked.'),
})

export const workerShape = z.object({
  id: z.string(),
  app: z.string(),
  host: z.string(),
  pid: z.number().int(),
  version: z.string().describe('Of Tidings.'),
  hosts: z.array(z.object({ kind: z.enum(['agent', 'tool', 'model', 'trigger', 'gateway']), name: z.string() })),
  since: z.iso.datetime(),
  seen: z.iso.datetime().describe('Its last answer.'),
})

const services = z.array(
  z.object({
    name: z.string(),
    calls: z.number().int(),
    failed: z.number().int(),
    retries: z.number().int(),
    p50: z.number(),
    p95: z.number(),
  }),
)

export const activityShape = z.object({
  perSecond: z.number(),
  types: z.array(z.object({ type: z.string(), perSecond: z.number() })),
  started: z.number(),
  ended: z.number(),
  tools: services,
  models: services,
  programs: z.array(
    z.object({ name: z.string(), turns: z.number().int(), ended: z.number().int(), failed: z.number().int() }),
  ),
  tokens: z.number(),
  cost: z.number(),
})

const graph = z.object({
  nodes: z.array(
    z.object({
      id: z.string(),
      kind: z.string(),
      label: z.string(),
      state: z.enum(['open', 'passed', 'active', 'reached', 'skipped']).optional(),
      progress: z.string().optional(),
    }),
  ),
  edges: z.array(z.object({ from: z.string(), to: z.string(), label: z.string().optional() })),
})

const definition = z.object({
  name: z.string(),
  version: z.number().int(),
  hash: z.string(),
  description: z.string().optional(),
  keyed: z.boolean(),
  callable: z.boolean(),
  events: z.array(z.string()).describe('The types that its steps wait for.'),
  graph,
})

const count = z.number().int()
export const workflowShape = definition.extend({
  instances: z
    .object({ running: count, waiting: count, failed: count.describe('Neither retried nor discarded.') })
    .describe('Of all its versions.'),
})

export const instanceGraphShape = definition.extend({
  task: z.string(),
  active: z.array(z.string()).describe('Ids of the steps that run or wait.'),
  done: z.array(z.string()),
})

export const attentionShape = z.object({
  items: z.array(
    z.looseObject({
      kind: z.enum(['dead', 'parked', 'delayed', 'overdue', 'unarmed', 'unhosted', 'failed']),
      next: z.array(z.string()).describe('What a person can do, as commands.'),
      more: z.number().int().optional().describe('How many entries like it there are besides.'),
    }),
  ),
  count: z.number().int(),
})
