import { shownTarget } from '../bus/tapped.ts'
import type { CloudEvent } from '../event.ts'
import { summarizeEvent } from '../trace/summarize.ts'
import { shortIdOf } from '../trace/short-id.ts'
import { dim, paint } from '../trace/paint.ts'
import { padOrShorten, printable, shorten, displayWidth } from '../trace/text.ts'

const typeWidth = 22
const maxRouteWidth = 44
/** With fewer columns the id is omitted. */
const minWidthForId = 100

/** Columns of the terminal; 160 for a pipe. */
export const terminalWidth = () => process.stdout.columns ?? (Number(process.env.COLUMNS) || 160)

export function eventLine(event: CloudEvent, width: number): string {
  const { type, time, correlationid, source } = event
  const target = shownTarget(event)
  const id = width < minWidthForId ? '' : `${shortIdOf(event)} `
  const route = printable(target === undefined ? shortSource(source) : `${shortSource(source)} → ${target}`)
  const routeWidth = Math.min(maxRouteWidth, Math.max(12, Math.floor(width / 4)))
  const room = width - (12 + 1 + 6 + 1 + typeWidth + 1 + routeWidth + 1 + displayWidth(id))
  return `${dim(formatClock(time))} ${dim(correlationid.slice(-6))} ${paint(type, padOrShorten(type, typeWidth))} ${padOrShorten(route, routeWidth)} ${dim(id)}${dim(shorten(summarizeEvent(event), room))}`.trimEnd()
}

export const formatTime = (ms: number) => localTime(ms).slice(0, 19).replace('T', ' ')

/** Local time of day, with milliseconds. */
const formatClock = (time: string) => localTime(Date.parse(time)).slice(11, 23)

const localTime = (ms: number) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString()

const shortSource = (source: string) => source.replace(/^\/(agents|tools|models)\//, '')
