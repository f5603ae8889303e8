import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import { advance, beginning } from '../bus/cursor.ts'
import type { Cursor, LogEntry, Position } from '../bus/driver.ts'
import { mergeByTime } from '../bus/read-by-time.ts'
import { createEvent, type CloudEvent, type Draft } from '../event.ts'
import { keyPaths, type KeyPath } from './definitions.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { instanceCorrelation } from './instances.ts'

/*
 * A keyed workflow instance has a correlation of its own. It is linked with each correlation whose events it received:
 *
 *     order.paid (correlation A) ──▶ workflow.event (correlation of the instance) ──▶ what the instance does
 *
 * Links are not stored. The `workflow.event` contains the original event, and the correlation of the instance follows from the data of
 * that event and the stored definitions, which name the path of the key.
 */

/** Maximum number of linked instances that a stream of a correlation includes; the first ones count. */
const maxInstances = 100

/** The keyed workflows that were ever on a log. */
export class KeyedWorkflows {
  readonly #paths: Map<string, KeyPath[]>

  private constructor(paths: readonly KeyPath[]) {
    this.#paths = Map.groupBy(paths, ({ type }) => type)
  }

  static async read(bus: Bus): Promise<KeyedWorkflows> {
    return new KeyedWorkflows(await keyPaths(bus))
  }

  get isEmpty(): boolean {
    return this.#paths.size === 0
  }

  matches(type: string): boolean {
    return this.#paths.has(type)
  }

  /** Correlations of the instances that may receive an event. The event must have its data. */
  fedBy(event: CloudEvent): string[] {
    const fed = (this.#paths.get(event.type) ?? []).map(({ workflow, path }) =>
      instanceCorrelation(event, workflow, path),
    )
    return [...new Set(fed)].filter(each => each !== undefined && each !== event.correlationid) as string[]
  }
}

const cacheTtlMs = 5_000
/** If the definitions are not read by then, a publish is answered without links. */
const maxWaitMs = 2_000
const cached = new WeakMap<Bus, { readonly until: number; readonly workflows: Promise<KeyedWorkflows | undefined> }>()

/** The instances that receive events that were just published. The definitions may be a few seconds old. */
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

/** The correlation of the original event in a `workflow.event`; undefined for other events, and if the data is gone. */
export async function feederOf(bus: Bus, event: CloudEvent): Promise<string | undefined> {
  if (event.type !== routedType) return undefined
  const whole = await bus.resolve(event).catch(() => event)
  return routedEventIn(whole)?.correlationid
}

/** Decides which events belong to a correlation or to the instances linked with it. Call `see` in the order of the log. */
export class LinkedScope {
  readonly correlation: string
  readonly #instances = new Set<string>()

  constructor(correlation: string) {
    this.correlation = correlation
  }

  get correlations(): string[] {
    return [this.correlation, ...this.#instances]
  }

  /** Whether the event links another instance. `feeder`: the result of {@link feederOf} for the event. */
  see({ correlationid }: CloudEvent, feeder: string | undefined): boolean {
    if (feeder !== this.correlation || this.#instances.size >= maxInstances) return false
    return this.#instances.size !== this.#instances.add(correlationid).size
  }

  has({ correlationid }: CloudEvent): boolean {
    return correlationid === this.correlation || this.#instances.has(correlationid)
  }
}

/**
 * The events of a correlation, merged with those of each linked instance from its link on. Each partition is read in its order, so that a
 * cursor covers exactly what was yielded before. Reading starts at the beginning; `after` only says what the cursors cover already.
 */
export async function* readLinked(
  bus: Bus,
  correlation: string,
  { after, until }: { readonly after: Cursor; readonly until: Cursor },
): AsyncGenerator<LogEntry> {
  const linked = [...(await instancesOf(bus, correlation, until))].map(([instance, link]) =>
    fedPart(bus, instance, correlation, { after: advance(beginning, link), until }),
  )
  yield* mergeByTime([bus.read({ correlation, until }), ...linked], after)
}

/** The first instances that a correlation fed, each with the position of the first event that did. */
async function instancesOf(bus: Bus, correlation: string, until: Cursor): Promise<Map<string, Position>> {
  const workflows = await KeyedWorkflows.read(bus)
  const instances = new Map<string, Position>()
  if (workflows.isEmpty) return instances
  for await (const { event, position } of bus.read({ correlation, until })) {
    if (!workflows.matches(event.type)) continue
    for (const instance of workflows.fedBy(await bus.resolve(event).catch(() => event)))
      if (!instances.has(instance) && instances.size < maxInstances) instances.set(instance, position)
  }
  return instances
}

/** The events of an instance from the first one on that came from a correlation. */
async function* fedPart(bus: Bus, instance: string, feeder: string, range: { after: Cursor; until: Cursor }) {
  let isFed = false
  for await (const entry of bus.read({ correlation: instance, ...range })) {
    isFed ||= (await feederOf(bus, entry.event)) === feeder
    if (isFed) yield entry
  }
}
