import type { TurnDetails } from '../../../src/trace/details.ts'
import type { TaskRow } from '../../../src/trace/index/rows.ts'
import type { TruncatedData } from '../../../src/gateway/views/bounded.ts'

/* What the gateway answers about tasks and workflows: docs/http.md. */

/** `shows`: what a running task shows of itself. `awaits`: types of the events that a workflow instance waits for. */
export type ListedTask = TaskRow & { readonly shows?: unknown; readonly awaits?: readonly string[] }

export interface TaskPage {
  /** Most recently active first. */
  readonly tasks: readonly ListedTask[]
  /** `before` of the next page. */
  readonly next?: string
}

/** A call without an answer. */
export interface OpenCall {
  readonly id: string
  readonly type: string
  readonly target: string
  /** RFC 3339. */
  readonly since: string
  readonly until?: string
}

/** A task with some of its turns, oldest first. */
export type TaskTurns = Omit<ListedTask, 'turns'> & {
  readonly total: number
  readonly turns: readonly TurnDetails[]
  readonly open: readonly OpenCall[]
  readonly output?: unknown
  readonly error?: { readonly code: string; readonly message: string; readonly next?: string }
  readonly reason?: string
}

export const isTruncated = (data: unknown): data is TruncatedData =>
  typeof data === 'object' && data !== null && (data as { truncated?: unknown }).truncated === true && 'preview' in data

export interface WorkflowGraph {
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly { readonly from: string; readonly to: string; readonly label?: string }[]
}

export interface GraphNode {
  readonly id: string
  readonly kind: string
  readonly label: string
  readonly state?: 'open' | 'passed' | 'active' | 'reached' | 'skipped'
  readonly progress?: string
}

export interface Workflow {
  readonly name: string
  readonly version: number
  readonly hash: string
  readonly description?: string
  /** One instance for each key, and whether calls start it. */
  readonly keyed: boolean
  readonly callable: boolean
  /** Types of the events that its steps wait for. */
  readonly events: readonly string[]
  readonly graph: WorkflowGraph
  /** Numbers of its instances, of all versions, by state. `failed`: neither retried nor discarded. */
  readonly instances: Readonly<Record<'running' | 'waiting' | 'failed', number>>
}
