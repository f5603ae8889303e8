import { TidingsError } from '../errors.ts'
import { canonicalType } from '../pattern.ts'
import type { EventType } from '../event.ts'
import type { Received } from '../received.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import type { OnPattern, Pattern } from './definition.ts'
import { conditionOf, standIn, type Ref, type Test } from './refs.ts'

/** A type of events: as `event()` declares it, of a trigger, or any name. */
export type Type = EventType | string

// biome-ignore lint/suspicious/noExplicitAny: what a type carries that nobody declared can be read in any way
export type DataOf<T> = T extends EventType<infer Data> ? Data : T extends keyof Received ? Received[T] : any

/** A pattern over events, and what it captures, by name. */
export interface Watch<Captures = object> {
  readonly pattern: Pattern
  /** For the compiler only. */
  readonly '~captures'?: Captures
}

/** One event of a type. */
export interface On<Data, Captures = object> extends Watch<Captures> {
  readonly pattern: OnPattern
  /** Only events of whose data this holds. */
  where(test: (data: Ref<Data>) => Test): On<Data, Captures>
  /** Keeps the data of the event under this name. */
  as<Name extends string>(name: Name): On<Data, { [K in Name]: Data }>
}

/** @throws E_EVENT_INVALID when it is not a type: a pattern of types has no one shape. */
export function on<T extends Type>(type: T): On<DataOf<T>> {
  return onOf({ kind: 'on', type: typeName(type) })
}

export const typeName = (type: Type): string => canonicalType(typeof type === 'string' ? type : type.type)

function onOf<Data, Captures>(pattern: OnPattern): On<Data, Captures> {
  return {
    pattern,
    where: test => onOf({ ...pattern, where: conditionOf(test(standIn(['it']))) }),
    as: name => onOf({ ...pattern, as: name }),
  }
}

type CapturesOf<W> = W extends Watch<infer Captures> ? Captures : never
type All<Ws extends readonly unknown[]> = Ws extends readonly [infer First, ...infer Rest]
  ? CapturesOf<First> & All<Rest>
  : object

/** One after the other. What comes before its turn is kept for it. */
export const seq = <const Ws extends readonly Watch[]>(...of: Ws) =>
  watch<All<Ws>>({ kind: 'seq', of: patterns('seq', of) })

/** Each of them, in whatever order. */
export const all = <const Ws extends readonly Watch[]>(...of: Ws) =>
  watch<All<Ws>>({ kind: 'all', of: patterns('all', of) })

/** The first of them that holds. */
export const any = <const Ws extends readonly Watch[]>(...of: Ws) =>
  watch<Partial<All<Ws>>>({ kind: 'any', of: patterns('any', of) })

/** So many different events; a capture is the list of their data. @throws E_APP_INVALID */
export function count<Data, Captures>(times: number, of: On<Data, Captures>) {
  if (!Number.isInteger(times) || times < 1 || times > maxCount)
    throw new TidingsError('E_APP_INVALID', `count(${times}) is not a number from 1 to ${maxCount}`)
  return watch<{ [K in keyof Captures]: Captures[K][] }>({ kind: 'count', times, of: of.pattern })
}

/** That a pattern does not hold for so long, from when its turn comes. Where it does, the step fails. */
export function absent(of: Watch, within: Duration) {
  milliseconds(within)
  return watch<object>({ kind: 'absent', of: of.pattern, within })
}

const maxCount = 1_000

const watch = <Captures>(pattern: Pattern): Watch<Captures> => ({ pattern })

function patterns(kind: string, of: readonly Watch[]): Pattern[] {
  if (of.length === 0) throw new TidingsError('E_APP_INVALID', `${kind}() needs a pattern`)
  return of.map(({ pattern }) => pattern)
}
