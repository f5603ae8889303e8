import type { StoredEvent } from '../bus/driver.ts'
import { summarizeEvent } from '../trace/summarize.ts'
import { eventsAt, withData } from '../trace/index/events.ts'
import { shortIdOf } from '../trace/short-id.ts'
import { dim, paint } from '../trace/paint.ts'
import { padOrShorten, shorten, displayWidth } from '../trace/text.ts'
import { formatTime, terminalWidth } from './event-line.ts'
import { queryIndex, withExistingLog } from './log.ts'
import { printAll, type GlobalOptions } from './output.ts'
import { assertTypePatterns, parseTime } from './selection.ts'

export interface SearchOptions extends GlobalOptions {
  type?: string
  since?: string
  limit: number
}

export async function findCommand(words: readonly string[], options: SearchOptions): Promise<void> {
  const { type, since, limit } = options
  assertTypePatterns([type ?? '>'])
  const filter = {
    limit,
    ...(type !== undefined && { type }),
    ...(since !== undefined && { since: parseTime(since) }),
  }
  const found = await withExistingLog(bus =>
    queryIndex(bus, async index => withData(bus, await eventsAt(bus, index.search(words.join(' '), filter)))),
  )
  const idWidth = Math.max(0, ...found.map(({ event }) => displayWidth(shortIdOf(event))))
  await printAll(options, found, stored => line(stored, idWidth), 'No event contains all of these words.')
}

function line({ event }: StoredEvent, idWidth: number): string {
  const { type, time, correlationid } = event
  const shown = padOrShorten(shortIdOf(event), idWidth)
  return `${dim(formatTime(Date.parse(time)))} ${dim(correlationid.slice(-6))} ${shown} ${paint(type, padOrShorten(type, 20))} ${shorten(summarizeEvent(event), terminalWidth() - 49 - idWidth)}`.trimEnd()
}
