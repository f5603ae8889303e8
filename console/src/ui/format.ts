import { serverNow } from '../api/server-clock.ts'

/* How times, sizes and amounts are written. */

const parts = (zone: 'local' | 'utc', options: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat('en-GB', { ...options, ...(zone === 'utc' && { timeZone: 'UTC' }) })

const formats = {
  local: { day: parts('local', { day: '2-digit', month: 'short' }), time: clock('local'), full: full('local') },
  utc: { day: parts('utc', { day: '2-digit', month: 'short' }), time: clock('utc'), full: full('utc') },
}

function clock(zone: 'local' | 'utc') {
  return parts(zone, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 })
}

function full(zone: 'local' | 'utc') {
  return parts(zone, { dateStyle: 'full', timeStyle: 'long' })
}

/** `14:03:22.120`, with the day before it unless that is today. */
export function timeText(ms: number, zone: 'local' | 'utc'): string {
  const { day, time } = formats[zone]
  const text = time.format(ms)
  return day.format(ms) === day.format(serverNow()) ? text : `${day.format(ms)} ${text.slice(0, -4)}`
}

export const fullTimeText = (ms: number, zone: 'local' | 'utc'): string => formats[zone].full.format(ms)

/** `4 ms`, `1.2 s`, `3 m 20 s`, `2 d 4 h`. */
export { elapsed as durationText } from '../../../src/trace/text.ts'

/** `4 s`, `3 m`, `2 d`: short, and it does not flicker. */
export const ageText = (ms: number): string => {
  const [size, unit] = ages.find(([least]) => ms >= least) ?? ages.at(-1)!
  return `${Math.floor(ms / size)} ${unit}`
}

const ages = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
] as const

const units = ['B', 'KiB', 'MiB', 'GiB'] as const

export function bytesText(bytes: number): string {
  let [size, unit] = [bytes, 0]
  while (size >= 1_024 && unit < units.length - 1) [size, unit] = [size / 1_024, unit + 1]
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`
}

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** `980`, `1.2K`, `3.4M`. */
export const countShort = (n: number): string => compact.format(n)

export const countFull = (n: number): string => n.toLocaleString('en')

/** Cost in the currency of the app's prices. */
export const costText = (cost: number): string =>
  cost === 0 ? '0' : cost < 0.01 ? cost.toPrecision(2) : cost.toFixed(2)
