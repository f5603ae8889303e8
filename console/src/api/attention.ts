import { queryOptions } from '@tanstack/react-query'
import type { AttentionItem } from '../../../src/trace/attention/list.ts'
import { get } from './connection.ts'

/** What needs a person. `more`: how many entries like it there are besides. `next`: what helps, as commands. */
export type Attention = AttentionItem & { readonly next: readonly string[]; readonly more?: number }

export interface AttentionList {
  readonly items: readonly Attention[]
  /** Of all entries, also those that are shown as one. */
  readonly count: number
}

const maxItems = 1_000
// Deliveries that are parked and timers that are overdue make no event.
const refetchIntervalMs = 15_000

export const attentionQuery = queryOptions({
  queryKey: ['attention'],
  queryFn: ({ signal }) => get<AttentionList>('attention', { limit: maxItems }, signal),
  refetchInterval: refetchIntervalMs,
})

/** Events that put something on the list or take it off. */
export const attentionTypes = ['agent.task.failed', 'agent.retry', 'control.*', 'operation.completed']
