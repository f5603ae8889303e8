import { TidingsError } from '../errors.ts'
import { isTypePattern } from '../pattern.ts'
import type { StoredEvent } from '../bus/driver.ts'
import { gist } from '../trace/gist.ts'
import { eventsAt, withData } from '../trace/index/events.ts'
import { shortId } from '../trace/short-id.ts'
import { dim, fit, paint, shorten, widthOf } from '../trace/text.ts'
import { moment, terminalWidth } from './event-line.ts'
import { ask, withExistingLog } from './log.ts'
import { numberOf, say, type Globals } from './out.ts'
import { momentOf } from './selection.ts'

export interface FindOptions extends Globals {
  type?: string
  since?: string
  limit: string
}

/** `tidings find WORDS` */
export async function find(words: readonly string[], options: FindOptions): Promise<void> {
  const { type, since, json } = options
  const isPattern: boolean = type === undefined || isTypePattern(type)
  if (!isPattern) throw new TidingsError('E_USAGE', `"${type}" is no event type, and no pattern such as order.*`)
  const filter = {
    limit: numberOf('--limit', options.limit),
    ...(type !== undefined && { type }),
    ...(since !== undefined && { since: momentOf(since) }),
  }
  const found = await withExistingLog(bus =>
    ask(bus, async index => withData(bus, await eventsAt(bus, index.search(words.join(' '), filter)))),
  )
  const idWidth = Math.max(0, ...found.map(({ event }) => widthOf(shortId(event.id))))
  for (const stored of found) await say(json ? JSON.stringify(stored) : line(stored, idWidth, terminalWidth()))
  if (found.length === 0 && !json) await say('Nothing on the log holds all of that.')
}

function line({ event }: StoredEvent, idWidth: number, width: number): string {
  const { id, type, time, correlationid } = event
  const shown = fit(shortId(id), idWidth)
  return `${dim(moment(Date.parse(time)))} ${dim(correlationid.slice(-6))} ${shown} ${paint(type, fit(type, 20))} ${shorten(gist(event), width - 49 - idWidth)}`.trimEnd()
}
