import type { ErrorData } from '../errors.ts'

/** A task as the gateway shows it: `GET /tasks/ID`. */
export interface RemoteTaskState {
  readonly task: string
  /** The agent or workflow that was asked, or started by an event. */
  readonly target: string
  readonly correlationid: string
  readonly status: 'running' | 'completed' | 'failed' | 'cancelled'
  /** RFC 3339, in UTC. */
  readonly requestedAt: string
  readonly endedAt?: string
  readonly user?: string
  /** What a running task shows in `ctx.state`. */
  readonly state?: unknown
  /** Of a completed task. */
  readonly output?: unknown
  /** Of a task that failed or was cancelled. */
  readonly error?: ErrorData
}
