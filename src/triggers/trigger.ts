import type { Bus } from '../bus/bus.ts'

/** A publisher from the outside world. It publishes before it acknowledges to its source. */
export interface Trigger {
  readonly kind: 'trigger'
  readonly name: string
  /** Opens the trigger. @throws E_PORT_IN_USE and others, with what to do next. */
  start(bus: Bus): Promise<RunningTrigger>
}

export interface RunningTrigger {
  /** Where it can be reached, for people: `smtp://127.0.0.1:2525`. */
  readonly address: string
  stop(): Promise<void>
}
