import type { Bus } from '../bus/bus.ts'
import { definitionDocument } from '../tasks/instances.ts'
import type { Turn } from '../tasks/program.ts'
import type { SnapshotState } from '../tasks/task.ts'
import { turnType } from '../tasks/turn.ts'
import type { ReplayInput } from './parallel.ts'
import { resolveEvent } from './order.ts'
import type { PinnedDefinition } from './replayer.ts'
import { replayedTaskOf } from './turn-assembler.ts'

/**
 * The journals of tasks as a worker would resume them: the pinned definition of a workflow instance, the snapshot if there is one, then
 * the later turns. Offsets count from 1.
 */
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
