import { correlationFrom, counterpart, instanceId } from '../bus/ids.ts'
import { isRedacted } from '../bus/redact.ts'
import { routedType, type RoutedData } from '../bus/routed.ts'
import { inheritedAttributes, type CloudEvent, type Draft } from '../event.ts'
import { replayId } from './effects.ts'
import { getPath } from './get-path.ts'
import { sourceOf, type InstanceSubscription, type ProgramDefinition } from './program.ts'

/*
 * Finds the workflow instance for an event without a target. A workflow has one instance per correlation, or one per key. A keyed
 * instance has a correlation of its own, derived from the key, and the shard of that. Its events are published there once more, as
 * `workflow.event`:
 *
 *     order.paid (correlation A) ──▶ workflow.event (correlation of the key, id EVENT:INSTANCE) ──▶ the instance
 */

export const migrateType = 'workflow.migrate'

export const definitionDocument = (name: string, hash: string) => `workflow/${name}/${hash}`

/** The correlation for a key. Redrives and forks have separate instances. */
function keyCorrelation({ tenant, replay }: CloudEvent, program: string, key: unknown): string {
  const correlation = correlationFrom(JSON.stringify([tenant, program, key]))
  return replay === undefined ? correlation : counterpart(correlation, replayId(replay))
}

/** The instance in the correlation of this event, if the workflow waits for its type, and whether the event may start it. */
export function matchInstance(program: ProgramDefinition, event: CloudEvent) {
  const { name, instances } = program
  if (!instances) return undefined
  const isRoutedHere = event.type === routedType && event.target === name
  if (!isRoutedHere && (instances.key || !matches(program, event))) return undefined
  const type = isRoutedHere ? event.subject : event.type
  return {
    instance: instanceId(event.correlationid, name),
    begins: type !== undefined && instances.types.includes(type),
  }
}

/** Whether the event belongs to a keyed instance, which may live in another shard. */
export function isRouted(program: ProgramDefinition, event: CloudEvent): boolean {
  return program.instances?.key !== undefined && matches(program, event)
}

export const subscribedTypes = ({ types, older = [] }: InstanceSubscription): readonly string[] => [...types, ...older]

/**
 * The correlation of the keyed instance that an event with its data belongs to. Undefined if the event has no key, or if the key is
 * redacted, because then different keys would look the same.
 */
export function instanceCorrelation(event: CloudEvent, workflow: string, path: readonly string[]): string | undefined {
  const key = getPath(event.data, path)
  return key === undefined || key === null || isRedacted(key) ? undefined : keyCorrelation(event, workflow, key)
}

/** The `workflow.event` for a keyed instance; undefined if the event has no key. */
export function routedDraft({ name, instances }: ProgramDefinition, event: CloudEvent): Draft<RoutedData> | undefined {
  const correlationid = instanceCorrelation(event, name, instances!.key![event.type]!)
  if (correlationid === undefined) return undefined
  return {
    id: `${event.id}:${instanceId(correlationid, name).slice(-10)}`,
    type: routedType,
    source: event.source,
    ...inheritedAttributes(event),
    target: name,
    subject: event.type,
    correlationid,
    causationid: event.id,
    hops: event.hops,
    data: { event },
  }
}

// Events about a workflow's own instances do not reach the same workflow, which would loop forever.
const matches = (program: ProgramDefinition, { type, source }: CloudEvent) =>
  (program.instances!.types.includes(type) || program.instances!.older?.includes(type) === true) &&
  !(type.startsWith('agent.') && source === sourceOf(program))
