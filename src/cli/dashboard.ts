import { styleText } from 'node:util'
import type { GroupState } from '../bus/driver.ts'
import type { Activity, ServiceActivity } from '../trace/rates.ts'
import { dim, paint, tidings } from '../trace/paint.ts'
import { countText, elapsed, padOrShorten, printable, shorten } from '../trace/text.ts'
import { formatTime } from './event-line.ts'
import type { UnavailableModel } from '../models/unavailable.ts'
import { paintUnavailable, unavailableText } from './unavailable-models.ts'

/** What `tidings top` shows at one moment. */
export interface Dashboard {
  readonly log: string
  /** RFC 3339. */
  readonly time: string
  readonly groups: readonly GroupState[]
  readonly activity: Activity
  /** Models whose provider keeps failing. */
  readonly resting: readonly UnavailableModel[]
  /** Entries on the attention list. */
  readonly attention: number
}

const shownTypes = 8
const shownServices = 6
const number = (value: number) => value.toLocaleString('en', { maximumFractionDigits: 1, minimumFractionDigits: 1 })

/** As lines for a terminal of this size. What is busiest stands first in each part, and is shown where not all fits. */
export function drawDashboard(
  { log, time, groups, activity, resting, attention }: Dashboard,
  width: number,
  rows: number,
): string[] {
  const { perSecond, types, started, ended, tools, models, tokens, cost } = activity
  const busiest = groups.toSorted((a, b) => b.lag - a.lag || (a.group < b.group ? -1 : 1))
  const room = Math.max(
    3,
    rows -
      16 -
      resting.length -
      Math.min(types.length, shownTypes) -
      Math.min(tools.length + models.length, shownServices),
  )
  const attended =
    attention === 0
      ? 'nothing needs attention'
      : `${countText(attention, 'entry', 'entries')} need attention: ${tidings} attention`
  const name = Math.max(12, Math.min(40, width - 30))
  const cells = (...columns: string[]) => columns.map(column => column.padStart(10)).join('')
  const draw = (text: string, paintIt: (text: string) => string = each => each) => paintIt(shorten(text, width))
  const table = (title: string, columns: string[], lines: string[]) =>
    lines.length === 0 ? [] : ['', draw(`${padOrShorten(title, name)}${cells(...columns)}`, dim), ...lines]
  return [
    draw(`${formatTime(Date.parse(time))}  ${printable(log)}`, text => styleText('bold', text)),
    draw(`${number(perSecond)} events/s · tasks: ${number(started)} started/s, ${number(ended)} ended/s`),
    draw(`last minute: ${countText(tokens, 'token')}${cost > 0 ? `, cost ${cost.toPrecision(3)}` : ''}`),
    draw(attended, text => (attention === 0 ? dim(text) : styleText('yellow', text))),
    ...resting.map(each => draw(unavailableText(each, Date.parse(time)), paintUnavailable)),
    ...table('group', ['lag', 'in flight'], [
      ...busiest.slice(0, room).map(({ group, lag, inFlight }) => draw(`${padOrShorten(printable(group), name)}${cells(String(lag), String(inFlight))}`)),
      ...(busiest.length > room ? [draw(`and ${busiest.length - room} more`, dim)] : []),
    ]),
    ...table('type', ['per second'], types.slice(0, shownTypes).map(({ type, perSecond }) =>
      draw(`${padOrShorten(type, name)}${cells(number(perSecond))}`, text => paint(type, text)))),
    ...table('tool or model', ['p50', 'p95', 'calls', 'failed', 'retries'], slowest(tools, models).map(({ name: service, p50, p95, calls, failed, retries }) =>
      draw(`${padOrShorten(printable(service), name)}${cells(elapsed(p50), elapsed(p95), String(calls), String(failed), String(retries))}`, text => (failed > 0 ? styleText('red', text) : text)))),
  ] // biome-ignore format: three tables
}

const slowest = (tools: readonly ServiceActivity[], models: readonly ServiceActivity[]) =>
  [...tools, ...models].sort((a, b) => b.p95 - a.p95).slice(0, shownServices)
