import { unionOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry, LogQuery } from '../../bus/driver.ts'
import type { Filter } from '../../pattern.ts'

/** What `followByReading` needs of a log. */
export interface FollowableLog {
  head(): Promise<Cursor>
  read(query: LogQuery): AsyncIterable<LogEntry>
  /** Calls back soon after the log grew. Returns the unsubscribe. */
  onAppend(callback: () => void): () => void
}

/** `follow` for a driver that reads cheaply: reads, waits until the log has grown, and reads on. */
export async function* followByReading(
  log: FollowableLog,
  after: Cursor,
  filter: Filter | undefined,
  signal: AbortSignal,
): AsyncGenerator<LogEntry> {
  const gate = new Gate()
  const stop = log.onAppend(() => gate.open())
  const abort = () => gate.open()
  signal.addEventListener('abort', abort)
  try {
    for (let cursor = after; !signal.aborted; await gate.passed()) {
      const head = await log.head()
      for await (const entry of log.read({ after: cursor, until: head, ...(filter && { filter }) })) {
        if (signal.aborted) return
        yield entry
      }
      cursor = unionOf(cursor, head)
      if (signal.aborted) return
    }
  } finally {
    stop()
    signal.removeEventListener('abort', abort)
  }
}

/** Stays open until it is passed, so that no append between two reads is missed. */
class Gate {
  #open = false
  #waiting: (() => void) | undefined

  open() {
    this.#open = true
    this.#waiting?.()
  }

  async passed() {
    if (!this.#open) await new Promise<void>(resolve => (this.#waiting = resolve))
    this.#open = false
    this.#waiting = undefined
  }
}
