import { randomUUIDv7 } from 'node:crypto'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { copyOf, jsonOf, type Json } from './json.ts'
import { invalidAt } from './options.ts'
import { canonicalType } from './pattern.ts'
import { neverJson, parsedBy } from './schema.ts'

/**
 * The envelope of everything on the log: CloudEvents 1.0 in JSON, with the extension attributes of Tidings.
 * `docs/wire-format.md` is normative.
 */
export interface CloudEvent<T = unknown> {
  readonly specversion: '1.0'
  /** Unique on the log. Publishing the same id again has no effect. */
  readonly id: string
  readonly source: string
  readonly type: string
  /** RFC 3339, UTC. Says when it was published; the order within a correlation is that of offsets on the log. */
  readonly time: string
  readonly subject?: string
  readonly datacontenttype?: 'application/json'
  readonly tenant: string
  readonly user?: string
  /** UUID shared by everything that descends from one outside event; `correlationFor` in `bus/ids.ts` makes it. */
  readonly correlationid: string
  /** Id of the event that caused this one. */
  readonly causationid?: string
  /** Name of the agent, tool or model that this event is addressed to. */
  readonly target?: string
  /** On a request: name of the program to which the answer is addressed. */
  readonly replyto?: string
  /** On an answer: id of the request (the call) that it answers. */
  readonly call?: string
  /** RFC 3339: after this time the caller no longer waits for an answer. */
  readonly deadline?: string
  /** Number of tasks between this event and the event from outside. */
  readonly hops: number
  /** W3C trace context. */
  readonly traceparent?: string
  /** Set on every descendant of a redrive or a fork: its name, such as `fork/0199…`. */
  readonly replay?: string
  /** On an event that a retry repeats: the id of the original call, or of the failed task. */
  readonly retryof?: string
  /** The blob of the tenant that holds data too large for the log (CloudEvents `dataref`, claim check). */
  readonly dataref?: string
  readonly data: T
}

type SetByTheBus = 'specversion' | 'time' | 'datacontenttype' | 'dataref'

/** The attributes that a publisher sets; the bus fills in the rest. */
export interface Draft<T = unknown> extends Partial<Omit<CloudEvent, SetByTheBus | 'type' | 'data'>> {
  readonly type: string
  readonly data: T
}

/**
 * A named kind of event with the schema of its data. The log holds the data as it was given, the schema's input side (`Given`);
 * an agent that starts on it gets what the schema makes of that, the output side (`Data`).
 *
 * @example
 * const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))
 * const clerk = agent('clerk', { on: paid, run: (ctx, { order, amount }) => ctx.call(charge, { order, amount }) })
 */
export interface EventType<Data = unknown, Given = Data, Name extends string = string> {
  readonly kind: 'event'
  readonly type: Name
  readonly schema: StandardSchemaV1<Given, Data>
}

/** An event type of any data. */
export type AnyEventType = EventType<unknown, unknown>

/**
 * Declares an event type. Every worker that declares it refuses other data, and `ctx.emit` takes no other.
 *
 * @example
 * const paid = event('order.paid', z.object({ order: z.string(), amount: z.number().positive() }))
 * @throws E_EVENT_INVALID if the name is not dotted lower-case words, E_APP_INVALID if no JSON value can match the schema
 */
export function event<Data, Given = unknown, const Name extends string = string>(
  type: Name,
  schema: StandardSchemaV1<Given, Data>,
): EventType<Data, Given, Name> {
  canonicalType(type)
  const never = neverJson(schema)
  if (never !== undefined)
    throw invalidAt(
      `event("${type}")`,
      `${never}: data on the log is JSON, which has no such value. Take a text, as in z.iso.datetime(), or coerce`,
    )
  return { kind: 'event', type, schema }
}

/**
 * The data of an event type as JSON, ready to publish: as given, after its schema accepted it.
 * @throws E_EVENT_INVALID with the path of the first fault, E_VALUE_INVALID if it is not JSON
 */
export function checkedData<Given>(type: EventType<unknown, Given>, data: Given): Json {
  const json = jsonOf(data, `the data of ${type.type}`)
  parsedData(type, copyOf(json))
  return json
}

/** What the schema of an event type makes of recorded data. @throws E_EVENT_INVALID with the path of the first fault */
export function parsedData<Data>({ type, schema }: EventType<Data, unknown>, data: unknown): Data {
  return parsedBy(schema, data, {
    code: 'E_EVENT_INVALID',
    what: `the data of "${type}" does not match its schema`,
    next: `Correct the data where the event is published, or the schema of event("${type}").`,
  })
}

/** The tenant of events that name none, and of all events from outside. */
export const defaultTenant = 'default'

const tenantForm = /^[a-z0-9][a-z0-9_-]{0,62}$/

/** Whether this is a lower-case name of at most 63 characters. */
export const isTenant = (name: unknown): name is string => typeof name === 'string' && tenantForm.test(name)

/** Completes a draft into an event. Attributes that are undefined are left out. */
export function createEvent<T>(draft: Draft<T>): CloudEvent<T> {
  const event: Record<string, unknown> = {
    specversion: '1.0',
    id: draft.id ?? randomUUIDv7(),
    source: draft.source ?? '/',
    type: draft.type,
    time: new Date().toISOString(),
    tenant: draft.tenant ?? defaultTenant,
    correlationid: draft.correlationid ?? randomUUIDv7(),
    hops: draft.hops ?? 0,
  }
  for (const name of optionalAttributes) if (draft[name] !== undefined) event[name] = draft[name]
  event.data = draft.data === undefined ? null : draft.data
  return event as unknown as CloudEvent<T>
}

/** The attributes that an event passes on to its descendants. */
export const inheritedAttributes = ({ tenant, user, correlationid, traceparent, replay }: CloudEvent) => ({
  tenant,
  correlationid,
  ...(user !== undefined && { user }),
  ...(traceparent !== undefined && { traceparent }),
  ...(replay !== undefined && { replay }),
})

const optionalAttributes = [
  'subject',
  'user',
  'causationid',
  'target',
  'replyto',
  'call',
  'deadline',
  'traceparent',
  'replay',
  'retryof',
] as const
