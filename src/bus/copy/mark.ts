import { TidingsError } from '../../errors.ts'
import type { DocumentStore } from '../driver.ts'

/*
 * A document on both logs says what a copy makes of them. It is not copied itself.
 *
 *     source   copying ──▶ copied     no member may join, and nothing may be published
 *     target   copying ──▶ verified   none before it is verified
 *     undone: the source is released, and the target is abandoned
 */

export interface CopyMark {
  readonly role: 'source' | 'target'
  readonly state: 'copying' | 'copied' | 'verified' | 'abandoned' | 'released'
  /** The same on both logs. */
  readonly id: string
  /** The address of the other log, without credentials. */
  readonly peer: string
  /** Every offset of the target is greater. */
  readonly above: number
  /** When it was written, in ISO 8601. */
  readonly at: string
}

export const copyMarkKey = 'copy'

export async function readCopyMark(store: DocumentStore): Promise<CopyMark | undefined> {
  const found = await store.getDocument(copyMarkKey)
  return found && (JSON.parse(found.value) as CopyMark)
}

/** Replaces the mark, whatever it is. */
export async function writeCopyMark(store: DocumentStore, mark: Omit<CopyMark, 'at'>): Promise<void> {
  const value = JSON.stringify({ ...mark, at: new Date().toISOString() } satisfies CopyMark)
  while (!(await store.putDocument(copyMarkKey, value, (await store.getDocument(copyMarkKey))?.revision ?? 0)));
}

/** Why a log must not be used because of its mark; undefined if it may be. */
export function copyProblemOf(mark: CopyMark | undefined): TidingsError | undefined {
  if (!mark) return undefined
  const { role, state, peer, at } = mark
  if (state === 'copying')
    return role === 'target'
      ? new TidingsError('E_COPY_UNVERIFIED', `the copy of "${peer}" into this log, begun ${at}, is not verified`)
      : new TidingsError('E_LOG_MOVED', `this log is being copied to "${peer}" since ${at}`)
  if (state === 'copied') return new TidingsError('E_LOG_MOVED', `this log was copied to "${peer}" at ${at}`)
  if (state === 'abandoned')
    return new TidingsError(
      'E_LOG_MOVED',
      `the copy of "${peer}" into this log was undone at ${at}; workers use "${peer}"`,
    )
  return undefined
}
