import type { Bus } from '../bus/bus.ts'

/** A door through which the outside comes in: what it takes is on the log before it is acknowledged. */
export interface Trigger {
  readonly kind: 'trigger'
  readonly name: string
  /** The types that it publishes: for lists, never for decisions. */
  readonly types: readonly string[]
  /** Opens the door. @throws E_PORT_IN_USE */
  start(bus: Bus): Promise<RunningTrigger>
  /** Where it will listen, as far as that is known before it starts: for lists. */
  readonly address?: string
  /**
   * Knocks at the door of a worker that runs, as somebody outside would, with a sample: `tidings trigger test NAME`. What it
   * leaves there it takes away again, on the signal at the latest.
   */
  sendSample?(bus: Bus, signal?: AbortSignal): Promise<void>
}

export interface RunningTrigger {
  /** Where it listens, as a URL: `smtp://127.0.0.1:2525`. */
  readonly address: string
  /** Takes nothing more, and lets what is under way end, until the cut at the latest. */
  stop(cut?: AbortSignal): Promise<void>
}
