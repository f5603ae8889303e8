import { z } from 'zod'
import type { Parameter, RouteDescription } from './route-descriptions.ts'
import * as shapes from './list-shapes.ts'

const since: Parameter = { description: 'A duration before now, such as 2h, or a time in RFC 3339.' }
const until: Parameter = since
const before: Parameter = { description: 'The `next` of the page before.' }
const text: Parameter = { description: 'Words that must be in it; `word*` for the beginning of a word.' }
const limit = (max: number, usual: number): Parameter => ({
  description: `At most so many; default ${usual}.`,
  schema: z.number().int().min(1).max(max),
})

/** Routes for lists and details of what was. */
export const listDescriptions: readonly RouteDescription[] = [
  {
    route: 'GET /events',
    id: 'listEvents',
    tag: 'views',
    summary: 'List events, newest first',
    description: 'Rows: events without their payload. A page may be shorter than its limit and have a `next`.',
    query: {
      type: { description: 'A type or a pattern, such as order.*. Default: all but task.turn.', isRepeated: true },
      source: { description: 'Only events of this source.' },
      user: { description: 'Only events of this user.' },
      task: { description: 'Only what this task decided, and the answers to that.' },
      correlation: { description: 'Only what follows from one request.' },
      text,
      failed: { description: '`1`: only failures, expiries and denials.' },
      unanswered: { description: 'Only calls to this tool, model or agent that have no answer yet.' },
      since,
      until,
      before,
      limit: limit(1_000, 200),
    },
    answers: { 200: { description: 'A stream after `head` goes on from here.', body: shapes.eventListShape } },
  },
  {
    route: 'GET /events/:id',
    id: 'getEvent',
    tag: 'views',
    summary: 'Show an event with its data',
    answers: { 200: { description: 'Data of more than 256 KiB is left out.', body: shapes.eventDetailsShape } },
  },
  {
    route: 'GET /events/:id/data',
    id: 'getEventData',
    tag: 'views',
    summary: 'Get all data of an event',
    answers: { 200: { description: 'As a download.', body: z.unknown() } },
  },
  {
    route: 'GET /events/:id/why',
    id: 'explainEvent',
    tag: 'views',
    summary: 'Explain an event by its causes',
    answers: { 200: { description: 'As `tidings why --json` prints it.', body: z.array(z.looseObject({})) } },
  },
  {
    route: 'GET /correlations',
    id: 'listCorrelations',
    tag: 'views',
    summary: 'List correlations, the last active one first',
    query: { since, before, limit: limit(1_000, 100) },
    answers: { 200: { description: 'With how each began.', body: shapes.correlationListShape } },
  },
  {
    route: 'GET /correlations/:id/events',
    id: 'getCorrelation',
    tag: 'views',
    summary: 'All events of a correlation, as rows',
    description:
      'In the order of the log, with turns and linked workflow instances. Each event is on a line of its own, so that a client can use the first while the others arrive. Compressed if the client accepts it.',
    query: { after: { description: 'Only events after this cursor.' }, limit: limit(50_000, 50_000) },
    answers: { 200: { description: 'A stream after `head` goes on from here.', body: shapes.eventListShape } },
  },
  {
    route: 'GET /tasks',
    id: 'listTasks',
    tag: 'views',
    summary: 'List tasks, the last active one first',
    query: {
      program: { description: 'Only tasks of this agent or workflow.' },
      state: { description: 'Only tasks in this state.', schema: shapes.listedTaskShape.shape.state },
      failedWith: { description: 'Only failures with this code, such as E_TOOL_THREW.' },
      text,
      since,
      until,
      before,
      limit: limit(1_000, 100),
    },
    answers: { 200: { description: 'Tasks that have begun.', body: shapes.taskListShape } },
  },
  {
    route: 'GET /tasks/:id/turns',
    id: 'listTurns',
    tag: 'views',
    summary: 'Show turns of a task with their data',
    query: {
      after: { description: 'Only turns after this one, oldest first.', schema: z.number().int().min(0) },
      limit: limit(200, 50),
      last: { description: 'The last ones instead.', schema: z.number().int().min(1).max(200) },
    },
    answers: { 200: { description: 'Data beyond 256 KiB in a turn is left out.', body: shapes.taskTurnsShape } },
  },
  {
    route: 'GET /find/:id',
    id: 'find',
    tag: 'views',
    summary: 'Say what an id, or the end of one, names',
    answers: {
      200: { description: 'An event with its correlation, a task, or a correlation.', body: shapes.foundShape },
    },
  },
  {
    route: 'GET /usage',
    id: 'getUsage',
    tag: 'views',
    summary: 'What calls to models cost',
    query: {
      since,
      until,
      by: { description: 'What to sum by: of `model,program,tenant,hour`, default `program,model`.' },
    },
    answers: { 200: { description: 'The highest cost first, or the newest hour.', body: shapes.usageShape } },
  },
]
