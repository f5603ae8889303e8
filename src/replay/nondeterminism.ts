import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { callerLocation } from '../stack.ts'

/*
 * What another run of the same code need not do again: to look at the clock, to draw by chance, to reach what is outside. A replay
 * takes note of where the code does so, as a hint where a turn comes out otherwise.
 */

export interface Hint {
  readonly kind: 'clock' | 'chance' | 'outside'
  /** Such as `Date.now()`. */
  readonly what: string
  /** Line of the code, as `path:line:column`. */
  readonly sourceLocation: string
}

export type Hints = Map<string, Hint>

const maxHints = 20
let currentHints: Hints | undefined

/** Takes note of what code does meanwhile. */
export async function collectHints<T>(into: Hints, work: () => Promise<T>): Promise<T> {
  currentHints = into
  try {
    return await work()
  } finally {
    currentHints = undefined
  }
}

/** `called`: the function that stands in for the real one. */
export function addHint(kind: Hint['kind'], what: string, called: (...args: never[]) => unknown): void {
  if (!currentHints || currentHints.size >= maxHints) return
  const trace: { stack?: string } = {}
  Error.captureStackTrace(trace, called)
  const place = callerLocation(trace.stack)
  if (place !== undefined) currentHints.set(`${what} ${place}`, { kind, what, sourceLocation: place })
}

/** Notes each look at the clock and each draw by chance of this process, and changes neither. */
export function watchNondeterminism(): void {
  globalThis.Date = watchedDate(Date)
  Object.assign(performance, { now: watched('clock', 'performance.now()', performance.now) })
  const hrtime = watched('clock', 'process.hrtime()', process.hrtime)
  process.hrtime = Object.assign(hrtime, { bigint: watched('clock', 'process.hrtime()', process.hrtime.bigint) })
  Math.random = watched('chance', 'Math.random()', Math.random)
  const draws = ['randomBytes', 'randomFill', 'randomFillSync', 'randomInt', 'randomUUID', 'randomUUIDv7']
  const known = crypto as unknown as Record<string, Any | undefined>
  for (const name of draws) if (known[name]) known[name] = watched('chance', `crypto.${name}()`, known[name])
  const web = Object.getPrototypeOf(globalThis.crypto) as Record<string, Any>
  for (const name of ['getRandomValues', 'randomUUID']) web[name] = watched('chance', `crypto.${name}()`, web[name]!)
  syncBuiltinESMExports()
}

type Any = (...args: never[]) => unknown

function watched<F extends Any>(kind: Hint['kind'], what: string, original: F): F {
  const standIn = function (this: unknown, ...args: Parameters<F>): unknown {
    addHint(kind, what, standIn)
    return Reflect.apply(original, this, args)
  }
  return standIn as unknown as F
}

function watchedDate(original: DateConstructor): DateConstructor {
  original.now = watched('clock', 'Date.now()', original.now)
  const apply = () => {
    addHint('clock', 'Date()', apply)
    return String(new original())
  }
  const construct = (target: DateConstructor, args: [], made: Any) => {
    if (args.length === 0) addHint('clock', 'new Date()', construct)
    return Reflect.construct(target, args, made) as Date
  }
  const standIn = new Proxy(original, { apply, construct })
  Object.assign(original.prototype, { constructor: standIn })
  return standIn
}
