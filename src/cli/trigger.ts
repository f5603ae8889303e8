import type { Bus } from '../bus/bus.ts'
import type { Cursor, LogEntry } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import { duration, milliseconds } from '../tasks/duration.ts'
import { dim } from '../trace/paint.ts'
import type { Trigger } from '../triggers/trigger.ts'
import { eventLine, terminalWidth } from './event-line.ts'
import { findApp, loadApp } from './load-app.ts'
import { withLog } from './log.ts'
import { print, printAll, type GlobalOptions } from './output.ts'

export interface TriggerOptions extends GlobalOptions {
  app?: string
}

export async function triggerListCommand(file: string | undefined, options: GlobalOptions): Promise<void> {
  const { app } = await loadApp(findApp(file))
  const rows = [
    ...app.triggers.map(({ kind, name, types, address = '' }) => ({ kind, name, types, address })),
    ...app.sinks.map(({ kind, name, types, address }) => ({ kind, name, types, address })),
  ]
  const nameWidth = Math.max(7, ...rows.map(({ name }) => name.length))
  const typesWidth = Math.max(9, ...rows.map(({ types }) => types.join(' ').length))
  const line = (name: string, types: string, address: string) =>
    `${name.padEnd(nameWidth)}  ${types.padEnd(typesWidth)}  ${address}`.trimEnd()
  const headings = { trigger: line('trigger', 'publishes', 'listens'), sink: line('sink', 'takes', 'writes to') }
  const lineOf = ({ name, types, address }: (typeof rows)[number]) => line(name, types.join(' '), address)
  if (options.json || rows.length === 0)
    return printAll(options, rows, lineOf, `the app "${app.name}" has no triggers and no sinks`)
  for (const kind of ['trigger', 'sink'] as const) {
    const ofKind = rows.filter(row => row.kind === kind)
    if (ofKind.length === 0) continue
    await print(dim(headings[kind]))
    for (const row of ofKind) await print(lineOf(row))
  }
}

/** `tidings trigger test NAME`: exit code 1 if the trigger publishes no event. */
export async function triggerTestCommand(name: string, options: TriggerOptions & { within: string }): Promise<void> {
  const { app } = await loadApp(findApp(options.app))
  const trigger = app.triggers.find(each => each.name === name)
  if (!trigger) {
    const names = app.triggers.map(each => each.name).join(', ') || 'none'
    const isSink = app.sinks.some(each => each.name === name)
    const what = isSink
      ? `"${name}" is a sink, which only writes events`
      : `the app "${app.name}" has no trigger "${name}"`
    throw new TidingsError('E_NOT_FOUND', `${what}; triggers of the app: ${names}`, {
      ...(isSink && { next: 'To try a sink, publish an event of a type that it takes: `tidings publish TYPE`.' }),
    })
  }
  if (!trigger.sendSample)
    throw new TidingsError(
      'E_TRIGGER_SILENT',
      `the trigger "${name}" cannot send a test event. Implement \`sendSample\`, or send it an event from outside`,
    )
  const { json, within } = options
  const timeoutMs = milliseconds(duration(within, '--within'))
  if (!json) await print(dim(`sent a test event to ${name}; waiting up to ${within} for what it publishes`))
  const stored = await withLog(bus => eventOfSample(bus, trigger, timeoutMs))
  if (!stored) throw new TidingsError('E_TRIGGER_SILENT', `the trigger "${name}" published no event within ${within}`)
  const { cursor, event } = stored
  await print(json ? JSON.stringify({ cursor, event }) : eventLine(event, terminalWidth()))
}

/** The event that the sample causes, or undefined at the timeout. Cleans up what the sample created outside. */
async function eventOfSample(bus: Bus, trigger: Trigger, timeoutMs: number): Promise<LogEntry | undefined> {
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), timeoutMs)
  const received = nextEventOf(bus, trigger.name, await bus.head(), timeout.signal)
  try {
    await trigger.sendSample!(bus, timeout.signal)
    return await received
  } finally {
    clearTimeout(timer)
    timeout.abort()
    await received.catch(() => {})
  }
}

async function nextEventOf(bus: Bus, name: string, after: Cursor, signal: AbortSignal): Promise<LogEntry | undefined> {
  const source = `/triggers/${name}`
  for await (const stored of bus.follow(after, undefined, signal))
    if (stored.event.source === source || stored.event.source.startsWith(`${source}/`))
      return { ...stored, event: await bus.resolve(stored.event).catch(() => stored.event) }
  return undefined
}
