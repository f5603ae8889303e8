import type { Bus } from '../bus/bus.ts'

/** Writes events of the log to another system: an event is settled when the other system has stored it. */
export interface Sink {
  readonly kind: 'sink'
  readonly name: string
  /** The event types that it writes, or patterns of them. Only shown to people. */
  readonly types: readonly string[]
  /** Where it writes. Only shown to people. */
  readonly address: string
  start(bus: Bus): Promise<RunningSink>
}

/** A sink that writes. */
export interface RunningSink {
  /** Where it writes, and why it cannot. */
  readonly address: string
  /** Takes no further events, and finishes what is being written, until the signal at the latest. */
  stop(abort?: AbortSignal): Promise<void>
}
