import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { nextCommands, type DeferredItem } from '../trace/attention/list.ts'
import { summarizeEvent } from '../trace/summarize.ts'
import { eventsAt, withData } from '../trace/index/events.ts'
import type { ActionRow } from '../trace/index/rows.ts'
import { traceRecords } from '../trace/records.ts'
import { render } from '../trace/render.ts'
import { shortIdOf } from '../trace/short-id.ts'
import { dim, paint, tidings } from '../trace/paint.ts'
import { countText, padOrShorten, printable, shorten, usageText } from '../trace/text.ts'
import { traceOf } from '../trace/trace.ts'
import { formatTime, terminalWidth } from './event-line.ts'
import { queryIndex, withExistingLog } from './log.ts'
import { arrow, print, printAll, type GlobalOptions } from './output.ts'

export interface TraceOptions extends GlobalOptions {
  limit: number
}

/** `tidings trace CORRELATION`; `tidings trace` lists recent correlations. */
export async function traceCommand(which: string | undefined, options: TraceOptions): Promise<void> {
  if (which === undefined) return list(options)
  const { correlation, found, kept } = await withExistingLog(bus =>
    queryIndex(bus, async index => {
      const correlation = index.correlation(which)
      const found = await traceOf(bus, correlation, each => index.positionsOf(each))
      return { correlation, found, kept: await keptDeliveries(bus, correlation) }
    }),
  )
  if (options.json) {
    for (const record of traceRecords(found)) await print(JSON.stringify(record))
    for (const item of kept) await print(JSON.stringify({ ...item, next: nextCommands(item) }))
  } else
    for (const line of [dim(`correlation ${correlation}`), ...render(found, terminalWidth()), ...kept.map(keptLine)])
      await print(line)
}

/** Deliveries of the correlation that wait for a person: until then nothing follows from their events. */
async function keptDeliveries(bus: Bus, correlation: string): Promise<DeferredItem[]> {
  const kept: DeferredItem[] = []
  for await (const { state: kind, ...entry } of bus.listDeferred())
    if (kind !== 'delayed' && entry.event.correlationid === correlation) kept.push({ kind, ...entry })
  return kept
}

function keptLine({ kind, event, reason }: DeferredItem): string {
  const what = `${event.type} ${shortIdOf(event)} is ${kind}: ${reason.message}`
  return `${styleText('red', '✖')} ${printable(what)} ${dim(reason.code)}\n  ${arrow()} ${tidings} attention`
}

/** A correlation, and how it began. */
export interface CorrelationSummary extends ActionRow {
  /** Of the first event: RFC 3339, type, summary. Absent if it is no longer on the log. */
  readonly time?: string
  readonly type?: string
  readonly title?: string
}

async function list(options: TraceOptions): Promise<void> {
  const { limit } = options
  const found = await withExistingLog(bus => queryIndex(bus, index => summarizeCorrelations(bus, index.actions(limit))))
  await printAll(options, found, line, 'This log has no events yet.')
}

/** Adds how each correlation began. */
export async function summarizeCorrelations(bus: Bus, rows: readonly ActionRow[]): Promise<CorrelationSummary[]> {
  const first = await eventsAt(bus, rows.map(row => row.first)) // biome-ignore format: one line
  const began = await withData(bus, first)
  const byCorrelation = new Map(began.map(({ event }) => [event.correlationid, event]))
  return rows.map(row => {
    const event = byCorrelation.get(row.correlation)
    return { ...row, ...(event && { time: event.time, type: event.type, title: shorten(summarizeEvent(event), 200) }) }
  })
}

const states = { live: ['cyan', '▶'], failed: ['red', '✖'], done: ['green', '✔'], none: ['gray', ' '] } as const

function line(action: CorrelationSummary): string {
  const { correlation, time, type = '?', title = '', events, tasks, live, failed, failedCalls, tokens, cost } = action
  const [colour, mark] = states[live > 0 ? 'live' : failed + failedCalls > 0 ? 'failed' : tasks > 0 ? 'done' : 'none']
  const totals = [
    countText(events, 'event'),
    ...(tasks > 0 ? [countText(tasks, 'task')] : []),
    ...(failedCalls > 0 ? [countText(failedCalls, 'failed call')] : []),
    ...usageText({ tokens, cost }),
  ]
  const text = `${totals.join(', ')}  ${title}`
  const began = time === undefined ? ''.padEnd(19) : formatTime(Date.parse(time))
  return `${styleText(colour, mark)} ${dim(correlation.slice(-6))} ${dim(began)} ${paint(type, padOrShorten(type, 22))} ${shorten(text, terminalWidth() - 52)}`.trimEnd()
}
