import { existsSync } from 'node:fs'
import type { Bus } from '../bus/bus.ts'
import { isCorrelation } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import { environment, openBus } from '../runtime/environment.ts'

/** Opens the log for one command. @throws E_LOG_UNAVAILABLE, E_LOG_VERSION, E_BUS_UNKNOWN */
export async function withLog<T>(use: (bus: Bus) => Promise<T>): Promise<T> {
  const bus = await openBus(environment())
  try {
    return await use(bus)
  } finally {
    await bus.driver.close()
  }
}

/** The same for commands that only make sense on a log that is there. @throws E_NOT_FOUND */
export function withExistingLog<T>(use: (bus: Bus) => Promise<T>): Promise<T> {
  const { bus, home } = environment()
  if (bus === 'sqlite' && !existsSync(home)) throw new TidingsError('E_NOT_FOUND', `there is no log in ${home}`)
  return withLog(use)
}

const digits = /^[0-9a-f-]{4,35}$/
// Of a larger log only the newest events are looked through for the digits of a correlation.
const searched = 200_000

/**
 * The correlation that is meant: by its id, by its first or last digits, or `last` for that of the newest event.
 * @throws E_USAGE, E_NOT_FOUND
 */
export async function findCorrelation(bus: Bus, text: string): Promise<string> {
  if (isCorrelation(text)) return text
  return text === 'last' ? lastCorrelation(bus) : correlationWith(bus, text)
}

async function lastCorrelation(bus: Bus): Promise<string> {
  const head = await bus.driver.head()
  for (let span = 100; ; span *= 10) {
    let last: string | undefined
    for await (const { event } of bus.read({ after: Math.max(0, head - span) }))
      if (!event.type.startsWith('control.')) last = event.correlationid
    if (last !== undefined) return last
    if (span >= head) throw new TidingsError('E_NOT_FOUND', 'nothing has happened yet on this log')
  }
}

async function correlationWith(bus: Bus, text: string): Promise<string> {
  if (!digits.test(text))
    throw new TidingsError('E_USAGE', `"${text}" is no correlation: give its id, four or more of its digits, or last`)
  const head = await bus.driver.head()
  const found = new Set<string>()
  for await (const { event } of bus.read({ after: Math.max(0, head - searched) })) {
    const { correlationid } = event
    if (correlationid.startsWith(text) || correlationid.endsWith(text)) found.add(correlationid)
  }
  const [first, ...more] = found
  if (first === undefined) throw new TidingsError('E_NOT_FOUND', `no correlation begins or ends with ${text}`)
  if (more.length > 0) throw new TidingsError('E_USAGE', `${text} may be any of ${[...found].slice(0, 5).join(', ')}`)
  return first
}
