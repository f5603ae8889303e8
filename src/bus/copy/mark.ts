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
  return (await HeldCopyMark.read(store)).mark
}

/** The mark of a log as this process read or wrote it. Of two processes that change it, one is refused. */
export class HeldCopyMark {
  readonly #store: DocumentStore
  readonly #revision: number
  readonly mark: CopyMark | undefined

  private constructor(store: DocumentStore, revision: number, mark: CopyMark | undefined) {
    this.#store = store
    this.#revision = revision
    this.mark = mark
  }

  static async read(store: DocumentStore): Promise<HeldCopyMark> {
    const found = await store.getDocument(copyMarkKey)
    return new HeldCopyMark(store, found?.revision ?? 0, found && (JSON.parse(found.value) as CopyMark))
  }

  /** @throws E_COPY_REFUSED if another process changed it */
  async replace(mark: Omit<CopyMark, 'at'>): Promise<HeldCopyMark> {
    const dated: CopyMark = { ...mark, at: new Date().toISOString() }
    const revision = await this.#store.putDocument(copyMarkKey, JSON.stringify(dated), this.#revision)
    if (revision === 0) throw changedElsewhere(mark)
    return new HeldCopyMark(this.#store, revision, dated)
  }

  /** @throws E_COPY_REFUSED if another process changed it */
  async assertUnchanged(): Promise<void> {
    const found = await this.#store.getDocument(copyMarkKey)
    if (found?.revision !== this.#revision) throw changedElsewhere(this.mark)
  }
}

const changedElsewhere = (mark: Omit<CopyMark, 'at'> | undefined) =>
  new TidingsError(
    'E_COPY_REFUSED',
    `another process copies the same log or undoes its copy${mark ? `; the other log of this copy is "${mark.peer}"` : ''}`,
    { next: 'Let one of them end. If the copy is not verified then, run it again.' },
  )

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
