import { TidingsError } from '../errors.ts'
import { canonicalType } from '../pattern.ts'
import type { AnyEventType, EventType } from '../event.ts'
import type { Received } from '../received.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import { withType } from './declared.ts'
import type { OnPattern, Pattern } from './definition.ts'
import { toCondition, placeholder, type Ref, type Test } from './refs.ts'

/** An event type: declared with `event()`, of a trigger, or any name. */
export type TypeOrName = AnyEventType | string

/** Data as it is on the log, which a workflow reads: of a declared type, the input side of its schema if that has a type. */
export type DataOf<T> =
  T extends EventType<infer Data, infer Given>
    ? unknown extends Given
      ? Data
      : Given
    : T extends keyof Received
      ? Received[T]
      : any

/** A pattern of events, with its captures by name. */
export interface EventPattern<Captures = object> {
  readonly pattern: Pattern
  /** For the compiler only. */
  readonly '~captures'?: Captures
}

/** One event of a type. */
export interface On<Data, Captures = object> extends EventPattern<Captures> {
  readonly pattern: OnPattern
  /**
   * Matches only events whose data satisfies the condition.
   * @example on(paid).where(it => above(it.amount, 1_000))
   */
  where(test: (data: Ref<Data>) => Test): On<Data, Captures>
  /**
   * Stores the data of the event under this name.
   * @example on(paid).as('payment') // later steps read `s.payment`
   */
  as<Name extends string>(name: Name): On<Data, { [K in Name]: Data }>
}

/**
 * One event of a type.
 * @throws E_EVENT_INVALID for a type pattern such as `order.*`, whose data has no single shape
 * @example orders.when('paid', on(paid).where(it => above(it.amount, 0)).as('first'), { within: '14d' })
 */
export function on<T extends TypeOrName>(type: T): On<DataOf<T>> {
  return onOf(withType<OnPattern>({ kind: 'on', type: typeName(type) }, type))
}

export const typeName = (type: TypeOrName): string => canonicalType(typeof type === 'string' ? type : type.type)

function onOf<Data, Captures>(pattern: OnPattern): On<Data, Captures> {
  return {
    pattern,
    where: test => onOf({ ...pattern, where: toCondition(test(placeholder(['it']))) }),
    as: name => onOf({ ...pattern, as: name }),
  }
}

type CapturesOf<W> = W extends EventPattern<infer Captures> ? Captures : never
type All<Ws extends readonly unknown[]> = Ws extends readonly [infer First, ...infer Rest]
  ? CapturesOf<First> & All<Rest>
  : object

/**
 * The patterns in order. Events that arrive early are kept.
 * @example orders.when('paid and booked', seq(on(paid), on(booked).as('booking')), { within: '14d' })
 */
export const seq = <const Ws extends readonly EventPattern[]>(...of: Ws) =>
  watch<All<Ws>>({ kind: 'seq', of: patterns('seq', of) })

/**
 * All patterns, in any order.
 * @example
 * orders.when('paid and booked', all(on(paid).as('paid'), on(booked).as('booking')), { within: '14d' })
 */
export const all = <const Ws extends readonly EventPattern[]>(...of: Ws) =>
  watch<All<Ws>>({ kind: 'all', of: patterns('all', of) })

/**
 * The first pattern that holds.
 * @example
 * orders.when('ended', any(on(paid).as('paid'), on('order.cancelled').as('cancelled')), { within: '14d' })
 */
export const any = <const Ws extends readonly EventPattern[]>(...of: Ws) =>
  watch<Partial<All<Ws>>>({ kind: 'any', of: patterns('any', of) })

/**
 * A number of different events. A capture is the list of their data.
 * @throws E_APP_INVALID
 * @example orders.when('three payments', count(3, on(paid).as('payments')), { within: '30d' })
 */
export function count<Data, Captures>(times: number, of: On<Data, Captures>) {
  if (!Number.isInteger(times) || times < 1 || times > maxCount)
    throw new TidingsError('E_APP_INVALID', `count(${times}): expected an integer from 1 to ${maxCount}`)
  return watch<{ [K in keyof Captures]: Captures[K][] }>({ kind: 'count', times, of: of.pattern })
}

/**
 * Holds if the inner pattern does not hold within the duration, from when this part starts. If it does, the step fails.
 * @example orders.when('no payment', absent(on(paid), '14d'), { within: '15d' })
 */
export function absent(of: EventPattern, within: Duration) {
  milliseconds(within)
  return watch<object>({ kind: 'absent', of: of.pattern, within })
}

const maxCount = 1_000

const watch = <Captures>(pattern: Pattern): EventPattern<Captures> => ({ pattern })

function patterns(kind: string, of: readonly EventPattern[]): Pattern[] {
  if (of.length === 0) throw new TidingsError('E_APP_INVALID', `${kind}() needs at least one pattern`)
  return of.map(({ pattern }) => pattern)
}
