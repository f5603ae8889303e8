import type { Bus } from '../bus/bus.ts'
import type { StoredEvent } from '../bus/driver.ts'
import { definitionDocument } from '../tasks/instances.ts'
import type { Turn } from '../tasks/program.ts'
import type { SnapshotState } from '../tasks/task.ts'
import { turnType } from '../tasks/turn.ts'
import { resolveEvent, turnsFirst } from './order.ts'
import type { ReplayInput } from './parallel.ts'
import type { PinnedDefinition } from './replayer.ts'
import { readSelection, type Selection } from './selection.ts'
import { readSlice } from './slice-read.ts'
import { replayedTaskOf } from './turn-assembler.ts'

/** Recorded events with their data, from a log or a file. */
export interface RecordedSource {
  /** In log order, with its positions, but what a turn emitted follows it. An event whose blob is gone keeps its `dataref`. */
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

/** The journals of tasks as a worker would resume them: pinned definition, snapshot, later turns. Offsets count from 1. */
export async function* readJournals(bus: Bus, tasks: readonly string[]): AsyncGenerator<ReplayInput> {
  const known = new Map<string, PinnedDefinition | undefined>()
  let offset = 0
  for (const task of tasks) {
    const { snapshot, records } = await bus.journal(task)
    const events = []
    for (const event of records) if (replayedTaskOf(event) === task) events.push(await resolveEvent(bus, event))
    const { key, hash } = definitionOf(snapshot?.state, events.find(({ type }) => type === turnType)?.data as Turn)
    if (key !== undefined && !known.has(key)) {
      const text = await bus.documents.readText(key)
      known.set(key, text === undefined ? undefined : { hash, text })
    }
    // Only workflow instances have one.
    const definition = known.get(key ?? '')
    if (definition) yield { task, definition }
    if (snapshot) yield { task, snapshot: snapshot.state }
    for (const event of events) yield { position: { partition: 0, offset: ++offset }, event }
  }
}

/** The document with the definition that a task uses, by its snapshot or first turn. */
function definitionOf(snapshot: string | undefined, first: Turn | undefined) {
  const state = snapshot === undefined ? undefined : (JSON.parse(snapshot) as SnapshotState)
  const [name, hash] = state ? [state.name, state.hash] : [first?.program, first?.programHash]
  return name === undefined || hash === undefined ? { hash: '' } : { key: definitionDocument(name, hash), hash }
}
