import type { CloudEvent } from '../event.ts'

/*
 * Text that a model is still writing. It is never stored: the worker that gets it from the provider sends it as signals, and again from the
 * beginning when a reader asks for it.
 *
 *     worker ── model.delta ──▶ readers      a reader that joins late, or lacks a piece ── model.text.requested ──▶ worker
 */

export const textDeltaType = 'model.delta'
export const textRequestType = 'model.text.requested'

/** What a piece of an answer is: a tool input is the JSON of the arguments of one call. */
export type TextKind = 'text' | 'reasoning' | 'tool-input'

/** A piece of one part of an answer. */
export interface TextPiece {
  /** Number of the part, in the order of the answer. */
  readonly part: number
  readonly kind: TextKind
  readonly text: string
  /** Of a tool input: the call, and the tool by the name that the model uses. */
  readonly toolCallId?: string
  readonly toolName?: string
}

/** Data of the signal `model.delta`, whose subject is the call. */
export interface TextDelta extends TextPiece {
  /** A UUID v7. The newest attempt of a call counts, and its text begins at offset 0. */
  readonly attempt: string
  /** UTF-16 units of the attempt before this piece, of all its parts together. */
  readonly offset: number
}

/** Which calls a reader follows: those of one correlation, of a tenant, of a user of it, or all. */
export type TextScope =
  | { readonly correlation: string }
  | { readonly tenant: string; readonly user?: string }
  | Readonly<Record<string, never>>

/** Data of the signal `model.text.requested`: calls by their ids, or those in a scope. */
export type TextRequest = { readonly calls: readonly string[] } | TextScope

const kinds: ReadonlySet<unknown> = new Set<TextKind>(['text', 'reasoning', 'tool-input'])

/** Whether the data of a signal is a delta. Workers of older versions send other ones, which are of no use to a reader. */
export function isTextDelta(data: unknown): data is TextDelta {
  const { attempt, offset, part, kind, text } = (data ?? {}) as Record<string, unknown>
  return (
    typeof attempt === 'string' &&
    typeof text === 'string' &&
    kinds.has(kind) &&
    [offset, part].every(each => Number.isSafeInteger(each) && (each as number) >= 0)
  )
}

/** Whether a request is for the text of this call: its `model.invoke`, or a signal about it. */
export function isRequested(request: TextRequest, call: string, { correlationid, tenant, user }: CloudEvent): boolean {
  if ('calls' in request) return Array.isArray(request.calls) && request.calls.includes(call)
  if ('correlation' in request) return request.correlation === correlationid
  return (request.tenant ?? tenant) === tenant && (request.user === undefined || request.user === user)
}
