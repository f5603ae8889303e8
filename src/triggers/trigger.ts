import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'

/** Publishes input from outside: it is on the log before the trigger acknowledges it. */
export interface Trigger {
  readonly kind: 'trigger'
  readonly name: string
  /** The event types that it publishes. Only shown to people. */
  readonly types: readonly string[]
  /** Starts to accept input. @throws E_PORT_IN_USE */
  start(bus: Bus): Promise<RunningTrigger>
  /** Where it will listen, if that is known before it starts. Only shown to people. */
  readonly address?: string
  /**
   * Sends a sample to the trigger of a running worker as an outside client would, for `tidings trigger test NAME`.
   * Removes what it created outside, when done or when the signal aborts.
   */
  sendSample?(bus: Bus, signal?: AbortSignal): Promise<void>
  /**
   * Signs a request as its source would, and handles it in this process without listening: for `webhook` of `testApp`.
   * @throws E_NOT_FOUND for an unknown endpoint
   */
  receive?(bus: Bus, endpoint: string, request: TestRequest): Promise<Response>
}

/** A request to a trigger in a test. */
export interface TestRequest {
  /** JSON, unless it is a text, bytes or the fields of a form. Default null. */
  readonly body?: unknown
  /** In addition to the signature and content type, or instead of them: an id of the source, or a wrong signature. */
  readonly headers?: Readonly<Record<string, string>>
}

/** A trigger that accepts input. */
export interface RunningTrigger {
  /** Where it listens, as a URL: `smtp://127.0.0.1:2525`. */
  readonly address: string
  /** What is not accepted although the app declares it, and why. Shown to people. */
  readonly warnings?: readonly string[]
  /** Accepts no further input, and lets what is in progress end, until the signal at the latest. */
  stop(abort?: AbortSignal): Promise<void>
}

/** Names are part of event sources, ids and document keys. @throws E_APP_INVALID */
export function assertTriggerName(name: string): void {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
    throw new TidingsError('E_APP_INVALID', `invalid trigger name "${name}": use lower-case words with dashes`)
}

export const notListening = (detail: string, cause?: unknown) =>
  new TidingsError('E_NOT_FOUND', detail, {
    cause,
    next: 'Start the worker that runs this trigger: `tidings run`. If it runs with another TIDINGS_WEBHOOK_PORT or TIDINGS_SMTP_PORT, set the same one here.',
  })
