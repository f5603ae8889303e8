import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Bus } from '../bus/bus.ts'
import type { Position, Stored } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { LinkedScope } from '../tasks/links.ts'
import type { StreamRequest } from './request.ts'

/** How much may wait for a client in memory, in bytes, and how long it may take nothing of it, in ms. */
export interface Patience {
  readonly maxBuffered: number
  readonly stallMs: number
}

/** One client of the stream: what it wants, how far it is, and the connection that it reads from. */
export class Client {
  /** Everything up to here was sent, or was not wanted. */
  position: Position
  /** Aborts when the connection is closed, by whichever side. */
  readonly gone: AbortSignal
  readonly #request: StreamRequest
  /** Where the client asked for a correlation: that, and the instances of workflows that it fed. */
  readonly #scope: LinkedScope | undefined
  readonly #response: ServerResponse
  readonly #patience: Patience

  constructor(response: ServerResponse, request: StreamRequest, position: Position, patience: Patience) {
    this.position = position
    this.#response = response
    this.#request = request
    if (request.correlation !== undefined) this.#scope = new LinkedScope(request.correlation)
    this.#patience = patience
    const closed = new AbortController()
    this.gone = closed.signal
    response.once('close', () => closed.abort())
    response.on('error', () => response.destroy())
  }

  /** Asked in the order of the log. `feeder`: see {@link feederOf}. */
  wants({ position, event }: Stored, feeder: string | undefined): boolean {
    this.#scope?.see(event, feeder)
    return position > this.position && this.#matches(event)
  }

  #matches(event: CloudEvent): boolean {
    return (this.#scope?.has(event) ?? true) && this.#request.matches(event)
  }

  /** At the pace of the log. False when too much waits already: then nothing was sent. */
  push({ position }: Stored, frame: Buffer): boolean {
    if (this.#response.writableLength > this.#patience.maxBuffered) return false
    this.position = position
    this.#response.write(frame)
    return true
  }

  /** At the pace of the client. One that takes nothing is cut off, and comes back with its last position. */
  async send({ position }: Stored, frame: Buffer): Promise<void> {
    this.position = position
    if (this.gone.aborted || this.#response.write(frame)) return
    const signal = AbortSignal.any([this.gone, AbortSignal.timeout(this.#patience.stallMs)])
    await once(this.#response, 'drain', { signal }).catch(() => this.#response.destroy())
  }

  hear(event: CloudEvent, frame: Buffer) {
    if (this.#matches(event)) this.#whisper(frame)
  }

  beat() {
    this.#whisper(heartbeat)
  }

  end() {
    this.#response.end()
  }

  // What may be lost: not for a client that is behind with its reading.
  #whisper(frame: Buffer) {
    if (this.#response.writableLength === 0 && !this.gone.aborted) this.#response.write(frame)
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
