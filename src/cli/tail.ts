import type { Bus } from '../bus/bus.ts'
import type { Position, StoredEvent } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { isTypePattern, matchesType } from '../pattern.ts'
import { positionAt } from '../replay/selection.ts'
import { turnType } from '../tasks/turn.ts'
import { eventLine, terminalWidth } from './event-line.ts'
import { resolveCorrelation, withLog } from './log.ts'
import { print, shutdownSignal, type GlobalOptions } from './output.ts'
import { parseTime } from './selection.ts'

export interface TailOptions extends GlobalOptions {
  type?: string[]
  correlation?: string
  since?: string
  turns?: boolean
}

/** `tidings tail` */
export function tailCommand(options: TailOptions): Promise<void> {
  const asked = shutdownSignal()
  const wrong = options.type?.filter(type => !isTypePattern(type)) ?? []
  if (wrong.length > 0)
    throw new TidingsError('E_USAGE', `"${wrong[0]}" is not an event type or a pattern such as order.*`)
  return withLog(async bus => {
    const correlation =
      options.correlation === undefined ? undefined : await resolveCorrelation(bus, options.correlation)
    await printEvents(
      bus,
      await startPosition(bus, options.since),
      { ...options, ...(correlation !== undefined && { correlation }) },
      asked,
    )
  })
}

/** Prints the events after a position, until the signal aborts. `more`: further lines below an event, without --json. */
export async function printEvents(
  bus: Bus,
  after: Position,
  options: TailOptions,
  signal: AbortSignal,
  more: (event: CloudEvent) => readonly string[] | Promise<readonly string[]> = () => [],
): Promise<void> {
  const { type: types, correlation, json } = options
  const filter = types && [{ types }]
  const isWanted = eventSelector(options)
  for await (const stored of bus.follow(after, filter, signal)) {
    if (correlation !== undefined && stored.event.correlationid !== correlation) continue
    if (!isWanted(stored.event)) continue
    if (json) await print(await record(bus, stored))
    else await print([eventLine(stored.event, terminalWidth()), ...(await more(stored.event))].join('\n'))
  }
}

/** Turns repeat what other events show, so they are printed on request only. */
function eventSelector({ turns, type = [] }: TailOptions): (event: CloudEvent) => boolean {
  const named = turns || type.some(pattern => pattern.startsWith('task') && matchesType(pattern, turnType))
  return named ? () => true : event => event.type !== turnType
}

async function record(bus: Bus, { position, event }: StoredEvent): Promise<string> {
  // The blob of an old event may be purged; print the event without data.
  return JSON.stringify({ position, event: await bus.resolve(event).catch(() => event) })
}

async function startPosition(bus: Bus, since: string | undefined): Promise<Position> {
  if (since === undefined) return bus.head()
  if (since === 'beginning') return 0
  if (/^\d{1,15}$/.test(since)) return Number(since)
  const moment = parseTime(since, ', a log position or "beginning"')
  return (await positionAt(bus, moment, await bus.head())) - 1
}
