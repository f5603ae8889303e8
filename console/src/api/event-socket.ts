import { backoffMs, type GatewayConnection } from '../../../src/client/connection.ts'
import {
  assertResumable,
  streamEvents,
  type StreamedEvent,
  type StreamFilter,
} from '../../../src/client/event-stream.ts'
import type { ErrorData } from '../../../src/errors.ts'
import type { CloudEvent } from '../../../src/event.ts'

/*
 * Events over WebSockets. A browser opens only six connections for server-sent events to one server, over all of its tabs, and then no request
 * gets through. A gateway that is mounted in another server has no sockets: it sends server-sent events.
 */

/** A gateway that has sockets, unless it is mounted in another server. */
export interface SocketGateway {
  readonly connection: GatewayConnection
  readonly url: string | URL
  /** Whether its requests need a credential. @throws ClientError if it refuses this person */
  needsCredential(): Promise<boolean>
}

/** What a socket says: docs/wire-format.md. */
interface SocketMessage {
  readonly cursor?: string
  readonly event?: CloudEvent
  readonly signal?: CloudEvent
  readonly error?: ErrorData
}

/** Undefined until a socket was tried. */
let haveSockets: boolean | undefined

/** As `streamEvents`; continues after interruptions too. `onOpen` is called for each connection that was made. @throws ClientError */
export async function* socketEvents(
  gateway: SocketGateway,
  filter: StreamFilter,
  onOpen?: () => void,
): AsyncGenerator<StreamedEvent> {
  const { connection } = gateway
  const { signal } = filter
  let { after } = filter
  for (let attempt = 0; haveSockets !== false; attempt++) {
    if (signal?.aborted) return
    let isOpen = false
    try {
      const socket = await opened(gateway, { ...filter, ...(after !== undefined && { after }) })
      for await (const message of messagesOf(socket, signal)) {
        haveSockets = true
        if (message.error) assertResumable('error', JSON.stringify(message))
        else if (!isOpen) onOpen?.()
        isOpen ||= !message.error
        const { cursor, event = message.signal } = message
        after = cursor ?? after
        if (event) yield { event, ...(cursor !== undefined && { cursor }) }
      }
      if (isOpen) attempt = 0
      await connection.pause(backoffMs(attempt), signal)
      // Once the gateway answers: it has no sockets if none worked before.
      await connection.send('health', { signal, retryForMs: Infinity })
      haveSockets ??= false
    } catch (error) {
      if (!signal?.aborted) throw error
    }
  }
  onOpen?.()
  yield* streamEvents(connection, { ...filter, ...(after !== undefined && { after }) })
}

/** A socket that is not open yet. A browser sends no header with it, so a ticket stands for the credential. */
async function opened({ connection, url, needsCredential }: SocketGateway, filter: StreamFilter): Promise<WebSocket> {
  const { signal, type = [], ...ids } = filter
  const query = new URLSearchParams(ids)
  for (const pattern of [type].flat()) query.append('type', pattern)
  if (await needsCredential()) query.set('ticket', await newTicket(connection, signal))
  const address = new URL(`events/socket?${query.toString()}`, url)
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
  return new WebSocket(address)
}

async function newTicket(connection: GatewayConnection, signal: AbortSignal | undefined): Promise<string> {
  const response = await connection.send('tickets', { method: 'POST', signal, retryForMs: Infinity })
  return ((await response.json()) as { ticket: string }).ticket
}

/** Ends with the socket, or when the signal aborts. */
async function* messagesOf(socket: WebSocket, signal: AbortSignal | undefined): AsyncGenerator<SocketMessage> {
  const arrived: string[] = []
  let isClosed = false
  let next = Promise.withResolvers<void>()
  const close = () => {
    isClosed = true
    socket.close()
    next.resolve()
  }
  socket.onmessage = ({ data }) => {
    arrived.push(data as string)
    next.resolve()
  }
  socket.onclose = close
  if (signal?.aborted) close()
  signal?.addEventListener('abort', close, { once: true })
  // A browser does not close a socket whose network is gone.
  addEventListener('offline', close)
  try {
    for (;;) {
      for (const text of arrived.splice(0)) yield JSON.parse(text) as SocketMessage
      if (isClosed && arrived.length === 0) return
      await next.promise
      next = Promise.withResolvers()
    }
  } finally {
    signal?.removeEventListener('abort', close)
    removeEventListener('offline', close)
    close()
  }
}
