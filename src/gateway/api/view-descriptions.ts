import { z } from 'zod'
import type { Parameter, RouteDescription } from './route-descriptions.ts'
import * as shapes from './view-shapes.ts'

const limit = (max: number): Parameter => ({
  description: `At most this many entries, up to ${max}.`,
  schema: z.number().int().min(1).max(max),
})

/** The views of operators. */
export const viewDescriptions: readonly RouteDescription[] = [
  {
    route: 'GET /info',
    id: 'getInfo',
    tag: 'operating',
    summary: 'What this log is, who asks, and what its apps declare',
    answers: { 200: { description: 'With JSON Schemas, from which forms can be made.', body: shapes.infoShape } },
  },
  {
    route: 'GET /groups',
    id: 'listGroups',
    tag: 'operating',
    summary: 'Consumer groups, with samples of the last 15 minutes',
    query: { since: { description: 'Only samples from this time on, ms since the epoch.', schema: z.number() } },
    answers: { 200: { description: 'Sampled while somebody looks.', body: shapes.groupsShape } },
  },
  {
    route: 'GET /activity',
    id: 'getActivity',
    tag: 'operating',
    summary: 'Rates of events, tasks, tools and models',
    description: 'As `tidings top` shows them, within the tenant, counted from the first request on.',
    answers: { 200: { description: 'The last minute.', body: shapes.activityShape } },
  },
  {
    route: 'GET /health/stream',
    id: 'streamHealth',
    tag: 'operating',
    summary: 'Groups, activity and workers, every two seconds',
    description:
      'Messages `health` with the answers of `GET /groups`, `GET /activity` and `GET /workers` in one. The first one has all samples, the others the newest.',
    answers: { 200: { description: 'The stream.', body: 'text/event-stream' } },
  },
  {
    route: 'GET /budgets',
    id: 'listBudgets',
    tag: 'operating',
    summary: 'The correlations that are nearest to their budget',
    description: 'Of the 20 that were active last, those that have a task which has not ended.',
    answers: { 200: { description: 'The nearest first.', body: shapes.budgetsShape } },
  },
  {
    route: 'GET /workers',
    id: 'listWorkers',
    tag: 'operating',
    summary: 'The workers that run on this log',
    description: 'Each is asked. One that was killed is listed for a minute, with its last answer.',
    answers: {
      200: { description: 'The longest running first.', body: z.object({ workers: z.array(shapes.workerShape) }) },
    },
  },
  {
    route: 'GET /attention',
    id: 'listAttention',
    tag: 'operating',
    summary: 'What needs a person',
    query: {
      kind: { description: 'Only entries of this kind.' },
      limit: limit(1_000),
    },
    answers: { 200: { description: 'As `tidings attention` lists it.', body: shapes.attentionShape } },
  },
  {
    route: 'GET /slice',
    id: 'downloadSlice',
    tag: 'operating',
    summary: 'Download a part of the log',
    description: 'As `tidings export` writes it, redacted. One of `correlation`, `task` and `since`.',
    query: {
      correlation: { description: 'All of one correlation.' },
      task: { description: 'One task.' },
      since: { description: 'Each correlation that was active since then: a duration such as 1h, or RFC 3339.' },
      until: { description: 'With `since`: active until then.' },
    },
    answers: { 200: { description: 'JSON lines, compressed: see docs/fixtures.md.', body: 'application/gzip' } },
  },
  {
    route: 'GET /workflows',
    id: 'listWorkflows',
    tag: 'operating',
    summary: 'The workflows that the apps of the log declare',
    answers: {
      200: { description: 'With their graphs.', body: z.object({ workflows: z.array(shapes.workflowShape) }) },
    },
  },
  {
    route: 'GET /workflows/:name',
    id: 'getWorkflow',
    tag: 'operating',
    summary: 'Show a workflow',
    answers: { 200: { description: 'Its newest version.', body: shapes.workflowShape } },
  },
  {
    route: 'GET /tasks/:id/graph',
    id: 'getInstanceGraph',
    tag: 'operating',
    summary: 'Show how far a workflow instance is',
    answers: { 200: { description: 'With the state of each step.', body: shapes.instanceGraphShape } },
  },
]
