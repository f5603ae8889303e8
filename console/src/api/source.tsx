import { Link } from '@tanstack/react-router'
import { createContext, type ReactNode, useContext } from 'react'
import type { CorrelationRow, EventFilter, Origin } from '../worker/protocol.ts'
import { credential, gatewayUrl, get } from './connection.ts'
import { download, saveFile } from './download.ts'
import type { EventDetails, EventPage, Row } from './shapes.ts'
import { inWorker } from './worker.ts'

/** Where the views of events read: the gateway, or a slice that was dropped onto the page. */
export interface EventSource {
  /** Part of the keys of queries. */
  readonly id: string
  /** Where the worker of the page reads. */
  readonly origin: Origin
  /** Of queries: those of a slice need no network. */
  readonly networkMode: 'online' | 'always'
  events(filter: EventFilter, page: { before?: string; limit: number }, signal?: AbortSignal): Promise<EventPage>
  correlations(
    page: { before?: string; limit: number },
    signal?: AbortSignal,
  ): Promise<{ readonly correlations: readonly CorrelationRow[]; readonly next?: string }>
  event(id: string, signal?: AbortSignal): Promise<EventDetails>
  /** What `tidings why --json` prints. */
  why(id: string, signal?: AbortSignal): Promise<readonly unknown[]>
  /** Saves the whole data of an event as a file. */
  save(id: string): Promise<void>
  /** The events that an event caused, and its answers. */
  effects(event: { readonly id: string; readonly correlationid: string }): Promise<readonly Row[]>
}

const origin = (): Exclude<Origin, string> => {
  const token = credential.get()
  return { url: gatewayUrl.href, ...(token !== undefined && { token }) }
}

const gatewaySource: EventSource = {
  id: 'gateway',
  get origin() {
    return origin()
  },
  networkMode: 'online',
  events: (filter, page, signal) => get<EventPage>('events', { ...filter, ...page }, signal),
  correlations: (page, signal) => get('correlations', page, signal),
  event: (id, signal) => get<EventDetails>(`events/${encodeURIComponent(id)}`, undefined, signal),
  why: (id, signal) => get<readonly unknown[]>(`events/${encodeURIComponent(id)}/why`, undefined, signal),
  save: id => download(new URL(`events/${encodeURIComponent(id)}/data`, gatewayUrl), `${id}.json`),
  effects: ({ id, correlationid }) => inWorker('effects', origin(), { id, correlationid }),
}

/** The slice that the worker of the page has opened. */
export const sliceSource = (id: string): EventSource => ({
  id,
  origin: 'slice',
  networkMode: 'always',
  events: (filter, page) => inWorker('events', filter, page),
  correlations: async () => ({ correlations: await inWorker('correlations') }),
  event: event => inWorker('event', event),
  why: event => inWorker('why', event),
  save: async event =>
    saveFile(new Blob([await inWorker('data', event)], { type: 'application/json' }), `${event}.json`),
  effects: ({ id: event, correlationid }) => inWorker('effects', 'slice', { id: event, correlationid }),
})

const SourceContext = createContext<EventSource>(gatewaySource)

export const useSource = (): EventSource => useContext(SourceContext)

export function SourceProvider({ source, children }: { source: EventSource; children: ReactNode }) {
  return <SourceContext value={source}>{children}</SourceContext>
}

interface TraceLinkProps {
  readonly correlation: string
  /** The event to go to. */
  readonly at?: string
  readonly className?: string | undefined
  readonly title?: string
  readonly tabIndex?: number
  readonly children: ReactNode
}

/** A link to a trace of the same source. */
export function TraceLink({ correlation, at, children, ...props }: TraceLinkProps) {
  const isSlice = useSource().origin === 'slice'
  const search = at === undefined ? {} : { at }
  return isSlice ? (
    <Link to="/offline" search={{ correlation, ...search }} onClick={event => event.stopPropagation()} {...props}>
      {children}
    </Link>
  ) : (
    <Link
      to="/traces/$correlation"
      params={{ correlation }}
      search={search}
      onClick={event => event.stopPropagation()}
      {...props}
    >
      {children}
    </Link>
  )
}
