import { correlationFrom, counterpart, taskId } from '../bus/ids.ts'
import { isRedacted } from '../bus/redact.ts'
import { routedType, type RoutedData } from '../bus/routed.ts'
import { inheritedAttributes, type CloudEvent, type Draft } from '../event.ts'
import { replayId } from './effects.ts'
import { getPath } from './get-path.ts'
import { sourceOf, type InstanceSubscription, type ProgramDefinition } from './program.ts'

/*
 * Where an event belongs that no one is addressed by, and that several tasks in a row may wait for: of a workflow there is
 * one instance for each correlation, or one for each key. An instance with a key lives in the shard of a correlation that is
 * made from the key; what belongs to it is published there once more, as `workflow.event`:
 *
 *     order.paid (correlation A) ──▶ workflow.event (correlation of the key, id EVENT:INSTANCE) ──▶ the instance
 */

export const migrateType = 'workflow.migrate'

/** Under which key the definition of a workflow lies in the log. */
export const definitionDocument = (name: string, hash: string) => `workflow/${name}/${hash}`

export const instanceId = (correlation: string, program: string) => taskId(correlation, program, 'instance')

/** The correlation of a key. A redrive or a fork has instances of its own, which are kept apart from the original ones. */
function keyCorrelation({ tenant, replay }: CloudEvent, program: string, key: unknown): string {
  const correlation = correlationFrom(JSON.stringify([tenant, program, key]))
  return replay === undefined ? correlation : counterpart(correlation, replayId(replay))
}

/** The instance that takes this event as it is, by its own correlation, and whether it begins where there is none. */
export function matchInstance(program: ProgramDefinition, event: CloudEvent): InstanceMatch | undefined {
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

export interface InstanceMatch {
  readonly instance: string
  readonly begins: boolean
}

/** Whether the event belongs to an instance in another shard. */
export function isRouted(program: ProgramDefinition, event: CloudEvent): boolean {
  return program.instances?.key !== undefined && matches(program, event)
}

export const subscribedTypes = ({ types, older = [] }: InstanceSubscription): readonly string[] => [...types, ...older]

/**
 * The correlation of the instance of a workflow that an event, which has its data, belongs to; undefined where it has no
 * key, or one that redaction hides: events with different keys would meet.
 */
export function instanceCorrelation(event: CloudEvent, workflow: string, path: readonly string[]): string | undefined {
  const key = getPath(event.data, path)
  return key === undefined || key === null || isRedacted(key) ? undefined : keyCorrelation(event, workflow, key)
}

/** The event, which has its data, as the instance gets it; undefined where it has no key. */
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

// What becomes of a workflow's own instances does not go to the same workflow: it would never end.
const matches = (program: ProgramDefinition, { type, source }: CloudEvent) =>
  (program.instances!.types.includes(type) || program.instances!.older?.includes(type) === true) &&
  !(type.startsWith('agent.') && source === sourceOf(program))
