import fc from 'fast-check'
import { TidingsError } from '../../src/errors.ts'
import { CallError } from '../../src/tasks/script.ts'

const trap = (): never => {
  throw new Error('a trap of a proxy')
}
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const circle = () => {
  const value: { self?: unknown } = {}
  value.self = value
  return value
}
const circularCause = () => {
  const error = new Error('first')
  error.cause = new Error('second', { cause: error })
  return error
}
const nested = (depth: number) => {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = [value]
  return value
}
const huge = 5 * 1024 * 1024

/** What user code can throw, return or emit that a runtime may choke on. Made anew each time. */
export const nasty: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  'a number': () => 42,
  'a text': () => 'text',
  NaN: () => NaN,
  'a BigInt': () => 5n,
  'a symbol': () => Symbol('s'),
  'a function': () => trap,
  'half a surrogate pair': () => '\ud800',
  'code and message': () => ({ code: 'OUT_OF_STOCK', message: 'no stock' }),
  'a huge message': () => new Error('m'.repeat(huge)),
  'a huge text': () => 't'.repeat(huge),
  'a large text of three bytes each': () => '語'.repeat(2 * 1024 * 1024),
  'a message that throws': () => ({ get message(): string { return trap() } }),
  'a toString that throws': () => ({ toString: trap }),
  'a toJSON that throws': () => ({ toJSON: trap }),
  'a toJSON of BigInt': () => ({ toJSON: () => 5n }),
  'a then that throws': () => new Proxy({}, { get: (_target, name) => (name === 'then' ? trap() : 1) }),
  'a proxy that throws': () => new Proxy({}, { get: trap, ownKeys: trap, has: trap, getPrototypeOf: trap }),
  'a revoked proxy': revoked,
  'an error in a proxy': () => new Proxy(new TidingsError('E_TOOL_INPUT', 'x'), { get: trap }),
  'a circle': circle,
  'a circle of causes': circularCause,
  'an aggregate error': () => new AggregateError([new Error('a'), 5n, circularCause()], ''),
  'deep nesting': () => nested(65),
  'nesting as deep as data may be': () => nested(64),
  'a class instance': () => new (class Order { total = 1 })(),
  'a Map': () => new Map([[1, 2]]),
  'an invalid Date': () => new Date(NaN),
  'a mismatch': () => new TidingsError('E_PROGRAM_MISMATCH', 'says the program'),
  'a log that is away': () => new TidingsError('E_LOG_UNAVAILABLE', 'says the code', { retryable: true }),
  'a worker that stops': () => new TidingsError('E_WORKER_STOPPED', 'says the code', { retryable: true }),
  'an error of no code': () => Object.assign(new TidingsError('E_INTERNAL', 'x'), { code: 5n, message: 'm'.repeat(huge) }),
  'a failed call': () => new CallError({ code: 'OUT', message: 'm'.repeat(huge) }),
} // biome-ignore format: one value a line

/** The same at random. */
export const anyNasty = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withTypedArray: true,
  withSparseArray: true,
})
