import { hash } from 'node:crypto'
import { taskId } from '../bus/ids.ts'
import type { CloudEvent, Draft } from '../event.ts'
import type { Instances, ProgramDefinition } from './program.ts'

/*
 * Where an event belongs that no one is addressed by, and that several tasks in a row may wait for: of a workflow there is
 * one instance for each correlation, or one for each key. An instance with a key lives in the shard of a correlation that is
 * made from the key; what belongs to it is published there once more, as `workflow.event`:
 *
 *     order.paid (correlation A) ──▶ workflow.event (correlation of the key, id EVENT:INSTANCE) ──▶ the instance
 */

export const routedType = 'workflow.event'
export const migrateType = 'workflow.migrate'

/** Data of `workflow.event`: what happened elsewhere. */
export interface Routed {
  readonly event: CloudEvent
}

/** Under which key the definition of a workflow lies in the log. */
export const definitionDocument = (name: string, hash: string) => `workflow/${name}/${hash}`

const instanceId = (correlation: string, program: string) => taskId(correlation, program, 'instance')

/**
 * The correlation of a key. A UUID of version 8: made from its content, and not by time (RFC 9562, section 5.8). What is done
 * again has instances of its own: it must not meet those that are in earnest.
 */
function keyCorrelation({ tenant, replay }: CloudEvent, program: string, key: unknown): string {
  const parts = [tenant, program, key, ...(replay === undefined ? [] : [replay])]
  const digest = hash('sha256', JSON.stringify(parts), 'hex')
  const variant = ((Number.parseInt(digest[16]!, 16) & 3) | 8).toString(16)
  return [digest.slice(0, 8), digest.slice(8, 12), `8${digest.slice(13, 16)}`, variant + digest.slice(17, 20), digest.slice(20, 32)].join('-') // biome-ignore format: one id
}

/** The instance that takes this event as it is, by its own correlation, and whether it begins where there is none. */
export function joins({ name, instances }: ProgramDefinition, event: CloudEvent): Joining | undefined {
  if (!instances) return undefined
  const isRoutedHere = event.type === routedType && event.target === name
  if (!isRoutedHere && (instances.key || !isHeard(name, heardBy(instances), event))) return undefined
  const type = isRoutedHere ? event.subject : event.type
  return {
    instance: instanceId(event.correlationid, name),
    begins: type !== undefined && instances.types.includes(type),
  }
}

export interface Joining {
  readonly instance: string
  readonly begins: boolean
}

/** Whether the event belongs to an instance in another shard. */
export function isRouted({ name, instances }: ProgramDefinition, event: CloudEvent): boolean {
  return instances?.key !== undefined && isHeard(name, heardBy(instances), event)
}

export const heardBy = ({ types, older = [] }: Instances): readonly string[] => [...types, ...older]

/** The event, which has its data, as the instance gets it; undefined where it has no key. */
export function route({ name, instances }: ProgramDefinition, event: CloudEvent): Draft<Routed> | undefined {
  let key: unknown = event.data
  for (const step of instances!.key![event.type]!)
    key =
      typeof key === 'object' && key !== null && Object.hasOwn(key, step)
        ? (key as Record<string, unknown>)[step]
        : undefined
  if (key === undefined || key === null) return undefined
  const correlationid = keyCorrelation(event, name, key)
  return {
    id: `${event.id}:${instanceId(correlationid, name).slice(-10)}`,
    type: routedType,
    source: event.source,
    tenant: event.tenant,
    ...(event.user !== undefined && { user: event.user }),
    target: name,
    subject: event.type,
    correlationid,
    causationid: event.id,
    hops: event.hops,
    ...(event.traceparent !== undefined && { traceparent: event.traceparent }),
    ...(event.replay !== undefined && { replay: event.replay }),
    data: { event },
  }
}

// What becomes of a workflow's own instances does not go to the same workflow: it would never end.
const isHeard = (name: string, types: readonly string[], { type, source }: CloudEvent) =>
  types.includes(type) && !(type.startsWith('agent.') && source === `/agents/${name}`)
