/*
 * The log as docs/wire-format.md describes it, as far as the checker needs it. Nothing in this folder imports from `src`:
 * an error of the engine must not be repeated by what looks for it.
 */

export interface WireEvent {
  id: string
  type: string
  time: string
  correlationid: string
  tenant: string
  subject?: string
  target?: string
  causationid?: string
  call?: string
  dataref?: string
  data: unknown
}

/** Data of a `task.turn`. */
export interface WireTurn {
  program: string
  version: number
  at: number
  inputs: WireEvent[]
  emits: { id: string; type: string; wait?: { target: string; until: number | null } }[]
  withdrawn?: string[]
  wake?: number | null
  end?: 'completed' | 'failed' | 'cancelled' | 'continued'
}

export interface Logged {
  position: number
  event: WireEvent
}

/** A reason as the log has it. */
export interface StoredReason {
  code: string
  message: string
}

export const reasonText = ({ code, message }: StoredReason) => `${code}: ${message}`

/** A delivery that was parked, delayed or given up. */
export interface SetAside {
  state: string
  reason: string
  /** Id of the event, where it can be told. */
  event?: string
}

/** Reads a log, and nothing else. */
export interface LogReader {
  /** Everything since the last call, each correlation in order; large data is there. */
  unread(): AsyncIterable<Logged>
  setAside(): Promise<SetAside[]>
  close(): Promise<void>
}

/** What a turn holds may be large, and so may what a task ended with; nothing else is looked into. */
export const isRead = ({ type }: WireEvent) => type === 'task.turn' || type.startsWith('agent.task.')
