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
  const definitions = new DefinitionCache(bus)
  let offset = 0
  for (const task of tasks) {
    const { snapshot, records } = await bus.journal(task)
    const events = []
    for (const event of records) if (replayedTaskOf(event) === task) events.push(await resolveEvent(bus, event))
    const definition = await definitions.of(snapshot?.state, events.find(({ type }) => type === turnType)?.data as Turn)
    if (definition) yield { task, definition }
    if (snapshot) yield { task, snapshot: snapshot.state }
    for (const event of events) yield { position: { partition: 0, offset: ++offset }, event }
  }
}

class DefinitionCache {
  readonly #bus: Bus
  readonly #known = new Map<string, Promise<PinnedDefinition | undefined>>()

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Undefined for tasks that are not workflow instances. */
  of(snapshot: string | undefined, first: Turn | undefined): Promise<PinnedDefinition | undefined> | undefined {
    const state = snapshot === undefined ? undefined : (JSON.parse(snapshot) as SnapshotState)
    const [name, hash] = state ? [state.name, state.hash] : [first?.program, first?.programHash]
    if (name === undefined || hash === undefined) return undefined
    const key = definitionDocument(name, hash)
    if (!this.#known.has(key)) this.#known.set(key, this.#read(key, hash))
    return this.#known.get(key)
  }

  async #read(key: string, hash: string): Promise<PinnedDefinition | undefined> {
    const text = await this.#bus.documents.readText(key)
    return text === undefined ? undefined : { hash, text }
  }
}
