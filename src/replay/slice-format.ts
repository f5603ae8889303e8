import type { StoredEvent } from '../bus/driver.ts'

/*
 * A slice of a log as a file: JSON lines, compressed where its name says so. docs/fixtures.md is normative.
 *
 *     {"tidings":"slice","version":2,"time":"…"}              first
 *     {"document":"definition/…","value":"…"}                 before the first event that names it
 *     {"position":{"partition":0,"offset":12},"event":{…}}    events that a turn emitted follow the turn
 *     {"end":{"events":2,"documents":1,"sha256":"…"}}         last: without it the file is truncated
 */

/** Version 1 had the offset of one partition in place of the position. */
export const sliceVersion = 2

export type SliceLine = { readonly document: string; readonly value: string } | StoredEvent

export interface SliceEnd {
  readonly events: number
  readonly documents: number
  /** Hex digest over all lines before, each with its line feed. */
  readonly sha256: string
}
