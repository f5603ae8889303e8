import { GatewayConnection } from '../../../src/client/connection.ts'
import { ClientError } from '../../../src/client/errors.ts'
import { TidingsError, type ErrorData } from '../../../src/errors.ts'
import type { CloudEvent } from '../../../src/event.ts'
import type { Row } from '../api/shapes.ts'
import { followTrace, OpenTrace } from './open-trace.ts'
import { readRows } from './read-rows.ts'
import { Slice } from './slice.ts'
import type { FromWorker, Origin, ToWorker, WorkerCalls } from './protocol.ts'

/* Reads, parses and arranges what may be large, so that the page stays responsive. */

const traces = new Map<number, { trace: OpenTrace; correlation: string; stop: AbortController }>()

const send = (message: FromWorker) => postMessage(message)

/** The slice that is open. */
let opened: Slice | undefined

function slice(): Slice {
  if (opened) return opened
  throw new TidingsError('E_NOT_FOUND', 'no slice is open', { next: 'Drop the file onto the page again.' })
}

const calls: Calls = {
  async openSlice(file) {
    opened = await Slice.read(file)
    return opened.summary
  },
  events: (filter, page) => slice().events(filter, page),
  correlations: () => slice().correlations(),
  event: id => slice().event(id),
  data: id => slice().data(id),
  why: id => slice().why(id),
  async effects(origin, { id, correlationid }) {
    const events = await eventsOf(origin, correlationid)
    return events.filter(row => row.causationid === id || row.call === id) as Row[]
  },
  find: (trace, event) => traces.get(trace)?.trace.find(event),
}

type Calls = {
  [Name in keyof WorkerCalls]: (
    ...args: Parameters<WorkerCalls[Name]>
  ) => ReturnType<WorkerCalls[Name]> | Promise<ReturnType<WorkerCalls[Name]>>
}

/** The events of a correlation, from an open trace if there is one. */
async function eventsOf(origin: Origin, correlation: string): Promise<readonly CloudEvent[]> {
  for (const each of traces.values())
    if (each.correlation === correlation && each.trace.isComplete) return each.trace.events
  if (origin === 'slice') return slice().trace(correlation)
  return (await Array.fromAsync(readRows(new GatewayConnection(origin), correlation))).flat()
}

function open(number: number, origin: Origin, correlation: string): void {
  const stop = new AbortController()
  const trace = new OpenTrace({
    update: update => send({ trace: number, update }),
    texts: texts => send({ trace: number, texts }),
  })
  traces.set(number, { trace, correlation, stop })
  const fill = async () => {
    if (origin !== 'slice') return followTrace(origin, correlation, trace, stop.signal)
    const rows = slice().trace(correlation)
    if (rows.length === 0) throw new TidingsError('E_NOT_FOUND', `the slice has no event of ${correlation}`)
    trace.add(rows)
    trace.complete()
  }
  fill().catch((error: unknown) => {
    if (!stop.signal.aborted) send({ trace: number, ...problemOf(error) })
  })
}

function close(number: number): void {
  const closing = traces.get(number)
  closing?.stop.abort()
  closing?.trace.close()
  traces.delete(number)
}

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  if ('open' in data) return open(data.open, data.origin, data.correlation)
  if ('close' in data) return close(data.close)
  const { call, name, args } = data
  const run = calls[name] as (...given: readonly unknown[]) => unknown
  void (async () => send({ call, result: await run(...args) }))().catch((error: unknown) =>
    send({ call, ...problemOf(error) }),
  )
})

function problemOf(error: unknown): { error: ErrorData; status?: number } {
  if (error instanceof TidingsError) return { error: error.toJSON() }
  if (!(error instanceof ClientError))
    return { error: { code: 'E_CONSOLE', message: error instanceof Error ? error.message : String(error) } }
  const { code, message, next, retryable, status } = error
  return { error: { code, message, retryable, ...(next && { next }) }, ...(status && { status }) }
}
