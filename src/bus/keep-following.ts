import { setTimeout } from 'node:timers/promises'
import type { Filter } from '../pattern.ts'
import type { Bus } from './bus.ts'
import { backoff } from './delivery.ts'
import type { Cursor, LogEntry } from './driver.ts'

interface Following {
  /** Where to begin, and where to go on after a failure. */
  cursor(): Cursor | Promise<Cursor>
  readonly filter?: Filter
  readonly signal: AbortSignal
  onEntry(entry: LogEntry): void | Promise<void>
}

/** Follows the log until the signal aborts. While the log cannot be read, it tries again at growing intervals. */
export async function keepFollowing(bus: Bus, { cursor, filter, signal, onEntry }: Following): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const entry of bus.follow(await cursor(), filter, signal)) {
        await onEntry(entry)
        failures = 0
      }
    } catch {
      await setTimeout(backoff(++failures), undefined, { signal, ref: false }).catch(() => {})
    }
  }
}
