import { textOf, TidingsError } from '../errors.ts'
import { isTapped } from '../bus/tapped.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { beginning } from '../bus/cursor.ts'
import { checkEvent } from '../bus/decode.ts'
import type { ConsumerGroup } from '../bus/driver.ts'
import { correlationOf, parseId } from '../bus/ids.ts'
import { groupByTurn, isTurn, type RecordedStep, type TurnEvent } from './order.ts'
import { sharedToolGroup, toolGroup } from '../tasks/tool-groups.ts'
import { documentsNamedBy } from './slice-write.ts'
import type { RecordedSource } from './source.ts'

/*
 * An imported log can be read, replayed and forked, but its tasks must not resume:
 *
 * - they belong to the group `imported`, which has no worker, and are never woken;
 * - apps only take events published after the import;
 * - groups of tools and models start at the beginning of a log, so the import creates them at its end. Until then a document marks the
 *   log as partial, and no app starts on it.
 */

export interface ImportSummary {
  readonly events: number
  readonly turns: number
  /** Turns whose task begins before the slice. They are stored as plain events and cannot be replayed. */
  readonly withoutBeginning: number
}

const marker = 'import'
const group = 'imported'
const batchEvents = 256

/**
 * Copies recorded events to an empty log, with their ids, order and times. Reads the source twice: an invalid one writes nothing.
 * @throws E_IMPORT_NOT_EMPTY, E_SLICE_INVALID
 */
export async function importFrom(source: RecordedSource, bus: Bus): Promise<ImportSummary> {
  const groups = await groupsIn(source)
  await assertEmpty(bus)
  if (!(await bus.documents.createText(marker, 'partial'))) throw notEmpty('another import into it is running')
  const imported = await new Import(source, bus).run()
  for (const each of groups) await bus.createGroup(each)
  await bus.documents.replaceText(marker, 'complete')
  return imported
}

/** Keeps an app from taking imported requests for its own. @throws E_IMPORT_PARTIAL */
export async function assertNotPartial(bus: Bus): Promise<void> {
  if ((await bus.documents.readText(marker)) === 'partial')
    throw new TidingsError(
      'E_IMPORT_PARTIAL',
      'an import into this log was not completed: delete the log and import again',
    )
}

class Import {
  readonly #source: RecordedSource
  readonly #bus: Bus
  readonly #seenDocuments = new Set<string>()
  #unwritten: CloudEvent[] = []
  readonly #counts = { events: 0, turns: 0, withoutBeginning: 0 }

  constructor(source: RecordedSource, bus: Bus) {
    this.#source = source
    this.#bus = bus
  }

  async run(): Promise<ImportSummary> {
    // Some brokers accept turns only from the owner of a shard. The paused owner also keeps the janitor from purging.
    const owner = await this.#bus.subscribe({
      group,
      filter: [{ types: ['>'] }],
      mode: 'sharded',
      from: 'beginning',
      maxInFlight: 1,
      onDelivery() {},
    })
    owner.pause()
    try {
      for await (const step of groupByTurn(this.#source.events())) await this.#step(step)
      await this.#flush()
    } finally {
      await owner.close()
    }
    return this.#counts
  }

  async #step({ stored: { event }, emitted }: RecordedStep): Promise<void> {
    this.#counts.events += 1 + emitted.length
    const events = emitted.map(each => each.event)
    for (const { key } of [event, ...events].flatMap(documentsNamedBy)) await this.#document(key)
    if (!isTurn(event)) return this.#publish(event)
    this.#counts.turns++
    await this.#flush()
    if (await this.#commit(event, events)) return
    this.#counts.withoutBeginning++
    for (const each of [event, ...events]) await this.#publish(each)
  }

  async #commit(turn: TurnEvent, emitted: readonly CloudEvent[]): Promise<boolean> {
    const inputs = (await this.#bus.encodeAll(turn.data.inputs)).map(entry => entry.event)
    const [entry] = await this.#bus.encodeTurn({ ...turn, data: { ...turn.data, inputs } }, [])
    const events = await this.#bus.encodeAll(emitted)
    const { version, end } = turn.data
    const result = await this.#bus.commit({
      group,
      task: taskOf(turn),
      expect: version - 1,
      turn: entry!,
      events,
      settle: [],
      wake: null,
      end: end !== undefined,
    })
    return result === 'accepted'
  }

  async #document(key: string): Promise<void> {
    if (this.#seenDocuments.has(key)) return
    this.#seenDocuments.add(key)
    const value = await this.#source.document(key)
    if (value !== undefined) await this.#bus.documents.createText(key, value)
  }

  async #publish(event: CloudEvent): Promise<void> {
    this.#unwritten.push(event)
    if (this.#unwritten.length >= batchEvents) await this.#flush()
  }

  async #flush(): Promise<void> {
    if (this.#unwritten.length === 0) return
    // The inputs of a turn were checked when they arrived, so a turn that is stored as an event is not checked again.
    const encoded = await Array.fromAsync(this.#unwritten.splice(0), event =>
      isTurn(event) ? this.#bus.encodeTurn(event, []) : this.#bus.encodeAll([event]),
    )
    await this.#bus.publishEncoded(encoded.flat())
  }
}

const taskOf = ({ id }: CloudEvent) => id.slice(0, id.lastIndexOf(':'))

/** Validates the source and returns the groups that would take its requests. */
async function groupsIn(source: RecordedSource): Promise<ConsumerGroup[]> {
  const groups = new Map<string, ConsumerGroup>()
  for await (const { event } of source.events()) {
    check(event)
    const { type, target } = event
    if (target === undefined || isTapped(event) || (type !== 'tool.invoke' && type !== 'model.invoke')) continue
    const filter = [{ types: [type], targets: [target] }]
    const isTool = type === 'tool.invoke'
    // Nothing on the log says whether a tool is one of an MCP server.
    const shared = isTool && target.includes('.') ? [sharedToolGroup(target)] : []
    for (const group of [isTool ? toolGroup(target) : `model/${target}`, ...shared])
      groups.set(group, { group, filter, mode: 'shared', from: 'now' })
  }
  return [...groups.values()]
}

function check(event: CloudEvent): void {
  try {
    if (!isTurn(event)) return void checkEvent(event)
    const id = parseId(event.id)
    const isOfItsTask = id && id.ordinal === undefined && correlationOf(id.task) === event.correlationid
    if (!isOfItsTask || id.version !== event.data.version) throw new Error('its id does not match its turn')
    event.data.inputs.forEach(checkEvent)
  } catch (error) {
    throw new TidingsError('E_SLICE_INVALID', `event ${event.id}: ${textOf(error)}`, { cause: error })
  }
}

async function assertEmpty(bus: Bus): Promise<void> {
  if ((await bus.documents.readText(marker)) === 'partial') throw notEmpty('an import into it was interrupted')
  if ((await bus.head()) !== beginning) throw notEmpty('it contains events')
  if ((await bus.listGroups()).length > 0) throw notEmpty('an app was started on it')
}

const notEmpty = (what: string) =>
  new TidingsError('E_IMPORT_NOT_EMPTY', `the log is not empty: ${what}; import into a new log`)
