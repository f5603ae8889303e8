import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { callerLocation } from '../stack.ts'

/*
 * Records where code reads the clock, draws random values or reaches outside. The report of a divergence shows these lines as hints,
 * because such code decides differently on each run.
 */

export interface Hint {
  readonly kind: 'clock' | 'chance' | 'outside'
  /** Such as `Date.now()`. */
  readonly what: string
  /** As `path:line:column`. */
  readonly sourceLocation: string
}

export type Hints = Map<string, Hint>

const maxHints = 20
let currentHints: Hints | undefined

/** Collects the hints of the code that runs meanwhile. */
export async function collectHints<T>(into: Hints, work: () => Promise<T>): Promise<T> {
  currentHints = into
  try {
    return await work()
  } finally {
    currentHints = undefined
  }
}

/** @param called the wrapper of the real function; frames above it are left out */
export function addHint(kind: Hint['kind'], what: string, called: (...args: never[]) => unknown): void {
  if (!currentHints || currentHints.size >= maxHints) return
  const trace: { stack?: string } = {}
  Error.captureStackTrace(trace, called)
  const sourceLocation = callerLocation(trace.stack)
  if (sourceLocation !== undefined) currentHints.set(`${what} ${sourceLocation}`, { kind, what, sourceLocation })
}

/** Wraps the clock and random functions of this process. The wrappers record a hint and return the real value. */
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
  const wrapper = function (this: unknown, ...args: Parameters<F>): unknown {
    addHint(kind, what, wrapper)
    return Reflect.apply(original, this, args)
  }
  return wrapper as unknown as F
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
  const wrapper = new Proxy(original, { apply, construct })
  Object.assign(original.prototype, { constructor: wrapper })
  return wrapper
}
