import type { Bus } from '../bus/bus.ts'
import type { StoredEvent } from '../bus/driver.ts'
import { turnsFirst } from './order.ts'
import { readSelection, type Selection } from './selection.ts'
import { readSlice } from './slice-read.ts'

/** Recorded events with their data, from a log or a file. */
export interface RecordedSource {
  /**
   * In log order, except that the events a turn emitted follow it directly. Positions are those of the original log. An event whose blob
   * is gone keeps its `dataref`.
   */
  events(): AsyncIterable<StoredEvent>
  /** A document that an event read so far refers to. */
  document(key: string): Promise<string | undefined>
}

/** A selection of a log, up to its head when reading begins. */
export function sourceFromBus(bus: Bus, selection: Selection): RecordedSource {
  return {
    events: () => turnsFirst(bus, readSelection(bus, selection)),
    document: async key => await bus.documents.readText(key),
  }
}

/** A slice file. Reading it throws E_SLICE_INVALID or E_NOT_FOUND. */
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
