import type { ErrorData } from '../../errors.ts'
import type { FrameFormat } from './encoding.ts'

/** Why the gateway ends a stream, for the client. */
export interface Ending {
  /** The close code of a WebSocket. Source: RFC 6455, section 7.4.1, and the IANA registry. */
  readonly code: number
  readonly reason: string
  readonly error?: ErrorData
}

/** A connection to one client: server-sent events or a WebSocket. What is written arrives in order. */
export interface Transport {
  readonly format: FrameFormat
  /** Aborts when either side closed the connection. */
  readonly closed: AbortSignal
  /** Nothing that was written waits for the client. */
  readonly isIdle: boolean
  /** Begins the stream. `cursor`: where it starts, as a text for the client. `onTaken`: the kernel has the bytes. */
  open(cursor: string, onTaken: () => void): void
  /** False if the client should read first: then `onDrain` follows. `onTaken`: the kernel has the bytes. */
  write(bytes: Buffer, onTaken?: () => void): boolean
  /** Sets what is called when more may be written. */
  onDrain(callback: () => void): void
  /** `cursor`: how far the stream is, if that is not known from an event already. */
  heartbeat(cursor: string | undefined, onTaken: () => void): void
  /** Sends the reason and closes. A client that does not read it in time is disconnected. */
  end(ending: Ending): void
  /** Closes the connection at once. */
  destroy(): void
}

/** How long a client has to read what was written before its connection is closed. */
export const endGraceMs = 1_000

export const endings = {
  stop: { code: 1012, reason: 'the gateway stops; reconnect with the last cursor' },
  emptied: { code: 1012, reason: 'the log was replaced by a new one; reconnect without a cursor' },
  failed: { code: 1011, reason: 'the log cannot be read now; reconnect with the last cursor' },
  slow: (reason: string): Ending => ({ code: 1013, reason: `${reason}; reconnect with the last cursor` }),
  /** `status`: that of the answer over HTTP. */
  error: (status: number, error: ErrorData): Ending => ({ code: 4_000 + status, reason: error.message, error }),
}
