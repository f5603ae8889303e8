import type { Handout, Reply, Settlement } from '../protocol.ts'
import type { Ledger } from './ledger.ts'
import type { Row, Store } from './store.ts'

/** What the current transaction will tell the main thread once it is on disk. */
export class Outbox {
  handouts: Handout[] = []
  wakes: Reply['wakes'] = []
  won: Reply['won'] = []
  lost: Reply['lost'] = []
  caughtUp: Reply['caughtUp'] = []
}

/** What every part of the writer works with. */
export interface Desk {
  readonly store: Store
  readonly ledger: Ledger
  outbox: Outbox
  now: number
}

/**
 * The way of events from the log to the local consumers of one group. While it is *caught up*, new rows are offered to
 * it from memory as they are stored; once it has no room it is *behind*, and reads the log from its cursor as room
 * comes. So nothing is buffered, whatever the backlog.
 */
export interface Intake {
  readonly group: string
  readonly matches: (event: { type: string; target?: string | null }) => boolean
  offer(row: Row): void
  /** Hands out what is due and what was missed while there is room. True when there is more to do at once. */
  fill(): boolean
  settle(settlement: Settlement): void
  /** When a delayed delivery is due for which there is room. */
  readonly alarm: number
  /** More was written by others than is worth offering; the log is read from the old head on. */
  goBehind(): void
  /** Another process wrote. */
  reload(): void
  /** The transaction was lost: memory is rebuilt from the log. */
  reset(): void
  /** Writes down how far the group got; `idle` also where nothing depends on it yet. */
  persist(idle: boolean): void
}

/** Rows that one fill looks at before it lets writers in again. */
export const scanBudget = 2_000
export const scanPage = 256
