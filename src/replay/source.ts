import type { Bus } from '../bus/bus.ts'
import type { StoredEvent } from '../bus/driver.ts'
import { turnsFirst } from './order.ts'
import { readSelection, type Selection } from './selection.ts'
import { readSlice } from './slice-read.ts'

/** Recorded events, wherever they lie, each with its data. */
export interface RecordedSource {
  /**
   * In the order of the log, but for what a turn emitted, which comes right behind the turn in the order of its emits.
   * Positions are those of the log that they were taken from. An event whose blob is gone still has its `dataref`.
   */
  events(): AsyncIterable<StoredEvent>
  /** A document that an event named which has come by. */
  document(key: string): Promise<string | undefined>
}

/** What is selected of a log, up to its head as it is when the reading begins. */
export function sourceFromBus(bus: Bus, selection: Selection): RecordedSource {
  return {
    events: () => turnsFirst(bus, readSelection(bus, selection)),
    document: async key => (await bus.driver.getDocument(key))?.value,
  }
}

/** A slice file. @throws E_SLICE_INVALID while it is read, at its end at the latest; E_NOT_FOUND */
export function sourceFromFile(path: string): RecordedSource {
  const documents = new Map<string, string>()
  return {
    async *events() {
      for await (const line of readSlice(path))
        if ('document' in line) documents.set(line.document, line.value)
        else yield line
    },
    document: async key => documents.get(key),
  }
}
