import { parsedData, type AnyEventType, type CloudEvent, type EventType } from '../event.ts'
import { TidingsError } from '../errors.ts'
import { parsedBy, validateNow, type Schema } from '../schema.ts'
import { inputOf } from '../tasks/program.ts'

/* What starts an agent, and what the schemas that it declares say about it. */

/** What starts an agent: an event type, or the name of one, or a pattern such as `order.*`. */
export type StartsOn = AnyEventType | string

type Each<On> = On extends readonly (infer One)[] ? One : On
type DataOf<One> = One extends EventType<infer Data, unknown> ? Data : unknown
type GivenTo<One> = One extends EventType<unknown, infer Given> ? Given : unknown
type EventOf<One> = One extends EventType<infer Data, unknown, infer Name> ? StartEventOf<Name, Data> : CloudEvent

/** An event of a known type. */
export interface StartEventOf<Name extends string, Data> extends CloudEvent<Data> {
  readonly type: Name
}

/** What `run` gets: the output side of the schemas, of the events and of the input of calls. */
export type StartData<On, Parsed> = DataOf<Each<On>> | Parsed

/** What `ctx.event` is: the event, with the same data as `run` gets, or the call. `type` tells them apart. */
export type StartEvent<On> = EventOf<Each<On>> | StartEventOf<'agent.invoke', { readonly input: unknown }>

/** What a caller passes: the input side of `input`, or else of the event types in `on`. */
export type CallInput<On, Parsed, Given> = [Parsed] extends [never] ? GivenTo<Each<On>> : Given

/** The schemas that an agent declares. */
export interface StartSchemas {
  readonly name: string
  readonly on: readonly StartsOn[]
  readonly input?: Schema | undefined
}

/** The event types in a list of subscriptions. */
export const eventTypesIn = (on: readonly StartsOn[]): readonly AnyEventType[] =>
  on.filter(each => typeof each !== 'string')

/** Checks what starts an agent; undefined if it declares no schema. */
export function startCheck({ name, on, input }: StartSchemas): StartCheck | undefined {
  const types = eventTypesIn(on)
  if (types.length === 0 && !input) return undefined
  return start => {
    const data = inputOf(start)
    if (start.type !== 'agent.invoke') {
      const type = types.find(each => each.type === start.type)
      return type ? parsedData(type, data) : data
    }
    const what = `the input of agent "${name}" does not match its schema`
    if (input) return parsedBy(input, data, { code: 'E_AGENT_INPUT', what })
    // A plain name or a pattern accepts anything.
    if (types.length < on.length) return data
    if (types.length === 1) return parsedBy(types[0]!.schema, data, { code: 'E_AGENT_INPUT', what })
    return parsedByAny(types, data, what)
  }
}

/** The data that the program gets. @throws E_EVENT_INVALID, E_AGENT_INPUT */
export type StartCheck = (start: Pick<CloudEvent, 'type' | 'data'>) => unknown

/** Whether another agent hands its conversation over, with the input that it got itself. */
export const isHandedOver = ({ data }: Pick<CloudEvent, 'data'>) =>
  (data as { conversation?: { handover?: unknown } } | null)?.conversation?.handover !== undefined

/** Accepts the input of another agent. */
export const unlessHandedOver =
  (check: StartCheck): StartCheck =>
  start =>
    isHandedOver(start) ? inputOf(start) : check(start)

/** What the first schema that accepts the data makes of it. @throws E_AGENT_INPUT */
function parsedByAny(types: readonly AnyEventType[], data: unknown, what: string): unknown {
  const problems: string[] = []
  for (const { type, schema } of types) {
    const checked = validateNow(schema, data)
    if ('value' in checked) return checked.value
    problems.push(`${type}: ${checked.problem}`)
  }
  throw new TidingsError('E_AGENT_INPUT', `${what}: ${problems.join('; or ')}`)
}
