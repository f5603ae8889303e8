import type { Position } from '../../bus/driver.ts'
import type { TaskEnd } from '../../tasks/program.ts'

/** `running`: has inputs to decide on. `waiting`: waits for answers. */
export type TaskState = TaskEnd | 'running' | 'waiting'

export const taskStates = ['running', 'waiting', 'completed', 'failed', 'cancelled', 'continued'] satisfies TaskState[]

export interface TaskRow {
  readonly task: string
  readonly program: string
  readonly version: number
  /** Digest of the program that made the newest turn. */
  readonly hash: string
  readonly state: TaskState
  readonly turns: number
  /** Times of the first and the newest turn, ms since the epoch. */
  readonly started: number
  readonly since: number
  /** Targets of its open calls. */
  readonly waitsFor: readonly string[]
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
  readonly tokens: number
  readonly cost: number
}

export interface TaskFilter {
  readonly program?: string
  readonly state?: TaskState
  /** Only tasks with a turn at this time or later, ms since the epoch. */
  readonly since?: number
  readonly limit: number
}

/** `since` and `until`: ms since the epoch. */
export interface FailureFilter {
  readonly task?: string
  readonly program?: string
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
