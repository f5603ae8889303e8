import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import type { Position, StoredEvent } from '../bus/driver.ts'
import { createEvent, type CloudEvent, type Draft } from '../event.ts'
import { keyPaths, type KeyPath } from './definitions.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { instanceCorrelation } from './instances.ts'

/*
 * An instance of a workflow with a key has a correlation of its own. It is linked with each correlation that fed it:
 *
 *     order.paid (correlation A) ──▶ workflow.event (correlation of the instance) ──▶ what the instance does
 *
 * Nothing is stored for a link. From the instance's side its `workflow.event` holds the event that fed it. From the side of that event
 * the correlation of the instance follows from its data and from the definitions on the log, which say where the key lies.
 */

/** A stream of a correlation carries what so many instances do that it fed, the first ones. */
const maxInstances = 100

/** The workflows with a key that were ever on a log. */
export class KeyedWorkflows {
  readonly #paths: Map<string, KeyPath[]>

  private constructor(paths: readonly KeyPath[]) {
    this.#paths = Map.groupBy(paths, ({ type }) => type)
  }

  static async read(bus: Bus): Promise<KeyedWorkflows> {
    return new KeyedWorkflows(await keyPaths(bus))
  }

  matches(type: string): boolean {
    return this.#paths.has(type)
  }

  /** Correlations of the instances that an event, which has its data, may feed. */
  fedBy(event: CloudEvent): string[] {
    const fed = (this.#paths.get(event.type) ?? []).map(({ workflow, path }) =>
      instanceCorrelation(event, workflow, path),
    )
    return [...new Set(fed)].filter(each => each !== undefined && each !== event.correlationid) as string[]
  }
}

const cacheTtlMs = 5_000
/** What was published is answered without its links where the definitions cannot be read by then. */
const maxWaitMs = 2_000
const cached = new WeakMap<Bus, { readonly until: number; readonly workflows: Promise<KeyedWorkflows | undefined> }>()

/** The instances that events feed which were just published, by the definitions of some seconds ago. */
export async function instancesFedBy(bus: Bus, drafts: readonly Draft[]): Promise<string[]> {
  const workflows = await knownWorkflows(bus)
  if (!workflows) return []
  const events = drafts
    .filter(({ type }) => workflows.matches(type))
    .map(draft => bus.redactor.event(createEvent(draft)))
  return [...new Set(events.flatMap(event => workflows.fedBy(event)))]
}

function knownWorkflows(bus: Bus): Promise<KeyedWorkflows | undefined> {
  const now = performance.now()
  let known = cached.get(bus)
  if (!known || known.until < now) {
    const read = KeyedWorkflows.read(bus).catch(() => undefined)
    const workflows = Promise.race([read, setTimeout(maxWaitMs, undefined, { ref: false })])
    cached.set(bus, (known = { until: now + cacheTtlMs, workflows }))
  }
  return known.workflows
}

/** The correlation of the event that feeds an instance; undefined for all that is no such event, and where its data is gone. */
export async function feederOf(bus: Bus, event: CloudEvent): Promise<string | undefined> {
  if (event.type !== routedType) return undefined
  const whole = await bus.resolve(event).catch(() => event)
  return routedEventIn(whole)?.correlationid
}

/** A correlation and the instances that it fed: which events are part of it, as they are seen in the order of the log. */
export class LinkedScope {
  readonly correlation: string
  readonly #instances = new Set<string>()

  constructor(correlation: string) {
    this.correlation = correlation
  }

  /** `feeder`: of an event that feeds an instance, see {@link feederOf}. */
  see({ correlationid }: CloudEvent, feeder: string | undefined): void {
    if (feeder === this.correlation && this.#instances.size < maxInstances) this.#instances.add(correlationid)
  }

  has({ correlationid }: CloudEvent): boolean {
    return correlationid === this.correlation || this.#instances.has(correlationid)
  }
}

/** What a correlation left on the log up to a position, and what each instance did from the moment at which it was fed by that, in order. */
export async function* readLinked(bus: Bus, correlation: string, until: Position): AsyncGenerator<StoredEvent> {
  const workflows = await KeyedWorkflows.read(bus)
  const opened = new Set<string>()
  const sources: LookaheadReader[] = []
  const open = async (stored: AsyncGenerator<StoredEvent> | AsyncIterable<StoredEvent>) => {
    const source = new LookaheadReader(stored)
    if (await source.advance()) sources.push(source)
  }
  try {
    await open(bus.read({ correlation, until }))
    while (sources.length > 0) {
      const source = sources.reduce((first, each) => (each.next.position < first.next.position ? each : first))
      const { next } = source
      yield next
      if (!(await source.advance())) sources.splice(sources.indexOf(source), 1)
      if (next.event.correlationid !== correlation || !workflows.matches(next.event.type)) continue
      for (const instance of workflows.fedBy(await bus.resolve(next.event).catch(() => next.event))) {
        if (opened.has(instance) || opened.size >= maxInstances) continue
        opened.add(instance)
        await open(fedPart(bus, instance, correlation, { after: next.position, until }))
      }
    }
  } finally {
    for (const source of sources) await source.close()
  }
}

/** Of an instance, what came from the first event on that a correlation fed it. */
async function* fedPart(bus: Bus, instance: string, feeder: string, range: { after: Position; until: Position }) {
  let isFed = false
  for await (const stored of bus.read({ correlation: instance, ...range })) {
    isFed ||= (await feederOf(bus, stored.event)) === feeder
    if (isFed) yield stored
  }
}

/** A part of the log that is read one event ahead. */
class LookaheadReader {
  next!: StoredEvent
  readonly #stored: AsyncIterator<StoredEvent>

  constructor(stored: AsyncIterable<StoredEvent>) {
    this.#stored = stored[Symbol.asyncIterator]()
  }

  async advance(): Promise<boolean> {
    const { done, value } = await this.#stored.next()
    if (!done) this.next = value
    return !done
  }

  async close(): Promise<void> {
    await this.#stored.return?.()
  }
}
