import { TidingsError } from '../errors.ts'
import type { Cursor, Position } from './contract/event-log.ts'

/*
 * A cursor is a set of positions: everything up to one offset in each partition. Its text is these offsets in the order of the
 * partitions, joined by dots, without trailing zeros: `42` on one partition, `42.17.3` on three, `0` for the beginning. So equal
 * cursors are equal texts, and a number that an older version stored is the cursor of a log with one partition.
 *
 * Outside, where a cursor is a header or part of an address, it has at most 2 KB: see `compactCursor`.
 *
 * Only this module knows the encoding. Cursors have no order: of two cursors, each may cover what the other does not.
 */

/** Covers nothing. */
export const beginning: Cursor = '0'

/** What a packed position of the trace index has room for. */
export const maxPartitions = 256

/** Fifteen digits. */
const maxOffset = 1e15 - 1
const form = /^\d{1,15}(?:\.\d{1,15}){0,255}$/

export const isCursor = (text: unknown): text is Cursor => typeof text === 'string' && form.test(text)

/** A cursor from outside, or from a document of an older version, which stored a number. @throws E_REQUEST_INVALID */
export function readCursor(value: unknown): Cursor {
  const text = Number.isSafeInteger(value) ? String(value) : value
  if (isCursor(text)) return formatCursor(partsOf(text))
  if (typeof text === 'string' && sparseForm.test(text)) return fromSparse(text)
  if (typeof text === 'string' && text.length <= maxPartitions * denseChars && denseForm.test(text))
    return fromDense(text)
  throw invalid(text)
}

const sparseForm = /^(?:~[0-9a-z]{1,2}-[0-9a-z]{1,10})+$|^~$/
const denseForm = /^(?:[A-H][\w-]{7})+$/
const denseBytes = 6
const denseChars = 8

/**
 * The shortest text for a cursor, which `readCursor` reads: at most 2,048 characters, all of them allowed in a URL and a header. Besides
 * the decimal form there is one with the partitions that are not empty (`~P-OFFSET`, base 36, `~` alone for nothing), and one with all
 * offsets as 48 bits in base64url, whose characters at the beginning of an offset are never digits, because offsets are less than 2^45.
 */
export function compactCursor(cursor: Cursor): string {
  const offsets = partsOf(cursor)
  const sparse = offsets.map((offset, n) => (offset > 0 ? `~${n.toString(36)}-${offset.toString(36)}` : '')).join('')
  if (sparse === '') return '~'
  const shortest = cursor.length <= sparse.length ? cursor : sparse
  return shortest.length <= offsets.length * denseChars ? shortest : toDense(offsets)
}

function toDense(offsets: readonly number[]): string {
  const bytes = Buffer.alloc(offsets.length * denseBytes)
  for (const [n, offset] of offsets.entries()) bytes.writeUIntBE(offset, n * denseBytes, denseBytes)
  return bytes.toString('base64url')
}

function fromDense(text: string): Cursor {
  const bytes = Buffer.from(text, 'base64url')
  const offsets = Array.from({ length: bytes.length / denseBytes }, (_, n) =>
    bytes.readUIntBE(n * denseBytes, denseBytes),
  )
  return formatCursor(offsets)
}

function fromSparse(text: string): Cursor {
  const offsets: number[] = []
  for (const part of text.split('~').slice(1).filter(Boolean)) {
    const [partition, offset] = part.split('-').map(digits => Number.parseInt(digits, 36)) as [number, number]
    if (partition >= maxPartitions || offset > maxOffset) throw invalid(text)
    while (offsets.length <= partition) offsets.push(0)
    offsets[partition] = offset
  }
  return formatCursor(offsets.length === 0 ? [0] : offsets)
}

/** What the cursor covers in these partitions only. */
export function restrictCursor(cursor: Cursor, partitions: ReadonlySet<number>): Cursor {
  if (!cursor.includes('.')) return partitions.has(0) ? cursor : beginning
  return formatCursor(partsOf(cursor).map((offset, n) => (partitions.has(n) ? offset : 0)))
}

/** The newest covered offset of each partition of a log. @throws E_REQUEST_INVALID if the cursor is malformed or of a log with more partitions */
export function offsetsOf(cursor: Cursor, partitions: number): number[] {
  if (!isCursor(cursor)) throw invalid(cursor)
  const offsets = partsOf(cursor)
  if (offsets.length > partitions)
    throw new TidingsError(
      'E_REQUEST_INVALID',
      `the cursor ${cursor} has ${offsets.length} partitions, and the log has ${partitions}: the cursor is of another log`,
    )
  while (offsets.length < partitions) offsets.push(0)
  return offsets
}

/** `offsets`: one for each partition, 0 where nothing is covered. */
export function formatCursor(offsets: readonly number[]): Cursor {
  let length = offsets.length
  while (length > 1 && offsets[length - 1] === 0) length--
  return length === 1 ? String(offsets[0]) : offsets.slice(0, length).join('.')
}

/** Whether the event at this position was handed out before the cursor. */
export const isCovered = (cursor: Cursor, { partition, offset }: Position): boolean =>
  offset <= offsetIn(cursor, partition)

/** The cursor after this event was handed out too, with all before it in its partition. */
export const advance = (cursor: Cursor, position: Position): Cursor =>
  isCovered(cursor, position) ? cursor : withOffset(cursor, position.partition, position.offset)

/** The cursor without this event and all after it in its partition. */
export const rewind = (cursor: Cursor, position: Position): Cursor =>
  isCovered(cursor, position) ? withOffset(cursor, position.partition, position.offset - 1) : cursor

/** The same cursor with another offset in one partition. */
export function withOffset(cursor: Cursor, partition: number, offset: number): Cursor {
  if (partition === 0 && !cursor.includes('.')) return String(offset)
  const offsets = partsOf(cursor)
  while (offsets.length <= partition) offsets.push(0)
  offsets[partition] = offset
  return formatCursor(offsets)
}

/** Whether a cursor covers everything that another one covers. */
export function coversAll(cursor: Cursor, other: Cursor): boolean {
  if (cursor === other) return true
  if (!other.includes('.')) return Number(other) <= offsetIn(cursor, 0)
  const offsets = partsOf(cursor)
  return partsOf(other).every((offset, partition) => offset <= (offsets[partition] ?? 0))
}

/** Covers what either of them covers. */
export const unionOf = (a: Cursor, b: Cursor): Cursor => (coversAll(a, b) ? a : combine(a, b, Math.max))

/** Covers what both of them cover. */
export const intersectionOf = (a: Cursor, b: Cursor): Cursor => (coversAll(a, b) ? b : combine(a, b, Math.min))

/** The number of events between two cursors, at most: offsets have gaps. */
export function distanceBetween(from: Cursor, to: Cursor): number {
  const offsets = partsOf(from)
  return partsOf(to).reduce((sum, offset, partition) => sum + Math.max(0, offset - (offsets[partition] ?? 0)), 0)
}

/** A cursor at most this many events before another one, as many in each partition. */
export function stepBack(cursor: Cursor, events: number): Cursor {
  const offsets = partsOf(cursor)
  return formatCursor(offsets.map(offset => Math.max(0, offset - Math.floor(events / offsets.length))))
}

export const positionKey = ({ partition, offset }: Position): string => `${partition}:${offset}`

/** A fixed order for lists. Within a partition it is the order of the log; across partitions it means nothing. */
export const comparePositions = (a: Position, b: Position): number => a.offset - b.offset || a.partition - b.partition

function offsetIn(cursor: Cursor, partition: number): number {
  if (!cursor.includes('.')) return partition === 0 ? Number(cursor) : 0
  return Number(cursor.split('.')[partition] ?? 0)
}

function combine(a: Cursor, b: Cursor, choose: (a: number, b: number) => number): Cursor {
  const [left, right] = [partsOf(a), partsOf(b)]
  const longer = left.length > right.length ? left : right
  return formatCursor(longer.map((_, n) => choose(left[n] ?? 0, right[n] ?? 0)))
}

const partsOf = (cursor: Cursor): number[] => cursor.split('.').map(Number)

const invalid = (value: unknown) =>
  new TidingsError(
    'E_REQUEST_INVALID',
    `${JSON.stringify(String(value).slice(0, 64))} is not a cursor: pass one that the log returned, or "0" for the beginning`,
  )
