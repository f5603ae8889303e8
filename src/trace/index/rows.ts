import type { Position } from '../../bus/driver.ts'
import type { TaskEnd } from '../../tasks/program.ts'

/** `running`: has inputs to decide on. `waiting`: waits for answers. */
export type TaskState = TaskEnd | 'running' | 'waiting'

export const taskStates = ['running', 'waiting', 'completed', 'failed', 'cancelled', 'continued'] satisfies TaskState[]

export interface TaskRow {
  readonly task: string
  readonly correlation: string
  readonly tenant: string
  readonly kind: 'agent' | 'workflow'
  readonly program: string
  readonly version: number
  /** Digest of the program that made the newest turn. */
  readonly hash: string
  readonly state: TaskState
  readonly turns: number
  /** Times of the first and the newest turn, ms since the epoch. */
  readonly started: number
  readonly since: number
  /** Time of the turn that ended it. */
  readonly ended?: number
  /** Targets of its open calls. */
  readonly waitsFor: readonly string[]
  /** What its own calls to models cost, without the tasks that it called. */
  readonly tokens: number
  readonly cost: number
  /** The code of its failure. */
  readonly failedWith?: string
}

/** A target with open calls. */
export interface AwaitedRow {
  readonly target: string
  readonly waiting: number
  /** The oldest open call: its id, the program that made it, and when. */
  readonly call: string
  readonly program: string
  readonly since: number
}

export interface ActionRow {
  readonly correlation: string
  readonly first: Position
  readonly events: number
  readonly tasks: number
  /** Number of tasks that have not ended, and of failed tasks that were not retried. */
  readonly live: number
  readonly failed: number
  /** Number of tapped calls that failed. */
  readonly failedCalls: number
  readonly tokens: number
  readonly cost: number
  /** Time of the last event, ms since the epoch. */
  readonly at: number
}

/** A part of a list, newest first. */
export interface ListPage {
  /** The `next` of the page before. */
  readonly before?: string | undefined
  readonly limit: number
}

export interface ListOf<Row> {
  readonly rows: readonly Row[]
  /** Absent at the end. */
  readonly next?: string
}

/** Sees the events of one tenant, as far as it may read their types. */
export interface IndexReader {
  readonly tenant: string
  mayRead(type: string): boolean
}

export interface ActionFilter extends ListPage {
  /** Only correlations that began with an event of theirs. */
  readonly reader?: IndexReader | undefined
  /** Only those with an event at this time or later, ms since the epoch. */
  readonly since?: number | undefined
}

/** `since`, `until`: only tasks with their newest turn then, ms since the epoch. */
export interface TaskFilter extends ListPage {
  readonly tenant?: string | undefined
  readonly task?: string | undefined
  readonly program?: string | undefined
  readonly state?: TaskState | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** Only tasks with these words in one of their events, or in one from outside in their correlation. */
  readonly text?: string | undefined
  /** The code of an error. */
  readonly failedWith?: string | undefined
}

/** `since`, `until`: ms since the epoch. */
export interface EventFilter {
  /** Types or patterns of types; without one, all but turns. */
  readonly types?: readonly string[] | undefined
  readonly source?: string | undefined
  readonly user?: string | undefined
  readonly task?: string | undefined
  readonly correlation?: string | undefined
  readonly text?: string | undefined
  /** Only failures, expiries and denials. */
  readonly failed?: boolean | undefined
  /** Only calls to this tool, model or agent that have no answer yet. */
  readonly unanswered?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
}

/** Where turns of a task are, and the events with ids that derive from them. */
export interface TurnPlaces {
  readonly turns: readonly Position[]
  readonly emitted: readonly Position[]
}

export const usageColumns = ['tenant', 'program', 'model', 'hour'] as const
export type UsageColumn = (typeof usageColumns)[number]

/** `since`, `until`: ms since the epoch; whole hours count. */
export interface UsageFilter {
  readonly tenant?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly by: readonly UsageColumn[]
}

/** What calls to models cost, by the columns that were asked for. */
export interface UsageRow {
  readonly tenant?: string
  readonly program?: string
  readonly model?: string
  /** Its beginning, ms since the epoch. */
  readonly hour?: number
  readonly calls: number
  readonly failed: number
  readonly tokens: {
    readonly input: number
    readonly output: number
    readonly cached: number
    readonly reasoning: number
  }
  readonly cost: number
}

/** `since` and `until`: ms since the epoch. */
export interface FailureFilter {
  readonly task?: string
  readonly program?: string
  readonly tenant?: string | undefined
  readonly since?: number
  readonly until?: number
  readonly limit?: number
}

export interface FailureRow {
  readonly task: string
  readonly program: string | null
  /** Position of the event that reports the failure. */
  readonly position: Position
  readonly at: number
}

export interface SearchFilter {
  /** A type or a pattern of types. */
  readonly type?: string
  /** Only events of this time or later, ms since the epoch. */
  readonly since?: number
  readonly limit: number
}
