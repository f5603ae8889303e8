import type { CloudEvent } from '../../event.ts'

/** How much data of an event, or of a turn, one answer has. */
const maxInlineBytes = 256 * 1024
const previewChars = 16 * 1024
/** Of one of several fields. */
const shortPreviewChars = 1_024

/** In place of data that is too large for an answer; `GET /events/EVENT/data` has it. */
export interface TruncatedData {
  readonly truncated: true
  readonly bytes: number
  /** The id of the event with the data. */
  readonly event: string
  /** The beginning of its JSON. */
  readonly preview: string
}

/** An event with its size. Without its data, but with the beginning of its JSON, if it is too large. */
export function boundedEvent(event: CloudEvent) {
  const json = JSON.stringify(event.data) ?? 'null'
  const bytes = Buffer.byteLength(json)
  if (bytes <= maxInlineBytes) return { event, bytes }
  const { data: _, ...envelope } = event
  return { event: envelope, bytes, truncated: true, preview: json.slice(0, previewChars).toWellFormed() }
}

/** Bounds the data of several events together. */
export class InlineBudget {
  #left = maxInlineBytes

  /** The event, or the event with {@link TruncatedData}. */
  take(event: CloudEvent): CloudEvent {
    const json = JSON.stringify(event.data) ?? 'null'
    const bytes = Buffer.byteLength(json)
    if (bytes <= this.#left) {
      this.#left -= bytes
      return event
    }
    const preview = json.slice(0, shortPreviewChars).toWellFormed()
    return { ...event, data: { truncated: true, bytes, event: event.id, preview } satisfies TruncatedData }
  }
}
