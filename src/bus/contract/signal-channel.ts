import type { CloudEvent } from '../../event.ts'

/**
 * Events that are not stored, such as the parts of a streamed answer.
 *
 * - A signal reaches the listeners of every member, the sender's included, at most once each, unchanged.
 * - Under load, or while the broker is away, signals may be dropped. Sending never blocks and never throws.
 */
export interface SignalChannel {
  sendSignal(event: CloudEvent): void
  /** Returns the function that removes the listener. */
  onSignal(callback: (event: CloudEvent) => void): () => void
}
