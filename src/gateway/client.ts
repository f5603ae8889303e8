import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Bus } from '../bus/bus.ts'
import type { Position, Stored } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'

// Longest time that a client which is catching up may take for what it was sent, in ms.
const stallMs = 30_000

/** One client of the stream: what it wants, how far it is, and the connection that it reads from. */
export class Client {
  /** Everything up to here was sent, or was not wanted. */
  position: Position
  /** Aborts when the connection is closed, by whichever side. */
  readonly gone: AbortSignal
  readonly #matches: (event: CloudEvent) => boolean
  readonly #response: ServerResponse
  readonly #maxBuffered: number

  constructor(
    response: ServerResponse,
    matches: (event: CloudEvent) => boolean,
    position: Position,
    maxBuffered: number,
  ) {
    this.position = position
    this.#response = response
    this.#matches = matches
    this.#maxBuffered = maxBuffered
    const closed = new AbortController()
    this.gone = closed.signal
    response.once('close', () => closed.abort())
    response.once('error', () => response.destroy())
  }

  wants({ position, event }: Stored): boolean {
    return position > this.position && this.#matches(event)
  }

  /** At the pace of the log: a client that does not keep up is cut off, and comes back with its last position. */
  push({ position }: Stored, frame: Buffer) {
    this.position = position
    this.#write(frame)
  }

  /** At the pace of the client. */
  async send({ position }: Stored, frame: Buffer): Promise<void> {
    this.position = position
    if (this.gone.aborted || this.#response.write(frame)) return
    const signal = AbortSignal.any([this.gone, AbortSignal.timeout(stallMs)])
    await once(this.#response, 'drain', { signal }).catch(() => this.#response.destroy())
  }

  /** Signals are lossy: a client that is behind with its reading does not get them. */
  hear(event: CloudEvent, frame: Buffer) {
    if (this.#matches(event) && this.#response.writableLength === 0) this.#write(frame)
  }

  beat() {
    this.#write(heartbeat)
  }

  end() {
    this.#response.end()
  }

  #write(frame: Buffer) {
    if (this.gone.aborted) return
    if (this.#response.writableLength > this.#maxBuffered) this.#response.destroy()
    else this.#response.write(frame)
  }
}

const heartbeat = Buffer.from(': heartbeat\n\n')

/** An event as it is sent, with its data where that lies in a blob. */
export async function eventFrame(bus: Bus, { position, event }: Stored): Promise<Buffer> {
  const whole = await bus.resolve(event).catch(error => {
    // The blob was purged; the event still happened.
    if (error instanceof TidingsError && error.code === 'E_BLOB_MISSING') return event
    throw error
  })
  return Buffer.from(`id: ${position}\nevent: ${event.type}\ndata: ${JSON.stringify(whole)}\n\n`)
}

export const signalFrame = (event: CloudEvent) => Buffer.from(`event: signal\ndata: ${JSON.stringify(event)}\n\n`)
