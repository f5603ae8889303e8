import type { ReplyBuffer, Settlement } from '../protocol.ts'
import type { ClaimStore } from './claim-store.ts'
import type { LogStore, OfferedEvent } from './log-store.ts'

/** What all parts of the writer share. */
export interface WriterContext {
  readonly store: LogStore
  readonly claims: ClaimStore
  /** Sent once the current transaction is on disk. */
  reply: ReplyBuffer
  /** The time of the current transaction. */
  now: number
}

/**
 * How far a group is on the log. While it is *caught up*, it is offered new events from memory as they are stored. Without room it
 * falls *behind* and reads the log from its cursor once there is room. So no backlog is ever buffered.
 */
export interface GroupCursor {
  readonly group: string
  readonly matches: (event: { type: string; target?: string | null }) => boolean
  offer(event: OfferedEvent): void
  /** Dispatches what is due and what was missed while there is room. True if there is more to do at once. */
  fill(): boolean
  settle(settlement: Settlement): void
  /** When the next delayed delivery is due for which there is room. */
  readonly alarm: number
  /** Deferred deliveries became due. */
  dueNow(): void
  /** Reads the log instead of being offered the many events that others wrote. */
  fallBehind(): void
  /** Another process wrote. */
  reload(): void
  /** The transaction was lost: rebuilds memory from the log. */
  reset(): void
  /** Stores the cursor. `force`: also if nothing depends on it yet. */
  persist(force: boolean): void
}

/** Events that one `fill` reads before operations have their turn. */
export const scanBudget = 2_000
export const scanPage = 256
