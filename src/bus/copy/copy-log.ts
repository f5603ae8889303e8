import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { TidingsError } from '../../errors.ts'
import { beginning, offsetsOf } from '../cursor.ts'
import type { Cursor, Driver, LogTransfer, TransferRecord } from '../driver.ts'
import { BlobCopy } from './copy-blobs.ts'
import { type CopyProgress, CopyProgressReport } from './copy-progress.ts'
import { CursorTranslation, cursorsIn, hasCursor, withCursors } from './document-cursors.ts'
import { markTtlMs } from './guard.ts'
import { type CopyMark, copyMarkKey, HeldCopyMark } from './mark.ts'
import { OpenTasks } from './open-tasks.ts'
import { RecordDigest } from './record-digest.ts'

/*
 *     mark both ──▶ no members? ──▶ copy ──▶ read both, compare ──▶ end of the source unchanged? ──▶ mark both as done
 *
 * Every step may be interrupted. A copy that runs again finds its own marks and does all of it again; the target leaves what it has.
 */

/** A log and how people name it. */
export interface CopyPlace {
  readonly driver: Driver
  /** Its address, without credentials. */
  readonly name: string
}

export interface CopyOptions {
  readonly from: CopyPlace
  readonly to: CopyPlace
  readonly onProgress?: (progress: CopyProgress) => void
  /** Ends the copy; the same call continues it. */
  readonly signal?: AbortSignal
  /** How long another process may still publish that has not seen the mark. Default 3 s. */
  readonly settleMs?: number
}

export interface CopySummary {
  /** Events and turns of the source, without those that turns emitted. */
  readonly events: number
  readonly blobs: number
  /** Of everything that the log holds, the same on both logs. */
  readonly digest: string
}

type TransferableLog = CopyPlace & { readonly transfer: LogTransfer }

/** How long a copy may go on without a look at its marks. */
const ownershipTtlMs = 500

/** More than any broker stores in a millisecond, as for partitions that are created again. */
const maxEventsPerMs = 8

/**
 * Copies a log to an empty one, and verifies it. Until then no worker may use either. @throws E_COPY_REFUSED, E_COPY_DIFFERS, E_LOG_MOVED
 */
export async function copyLog({
  from,
  to,
  onProgress,
  signal,
  settleMs = markTtlMs + 1_000,
}: CopyOptions): Promise<CopySummary> {
  const [source, target] = [transferable(from), transferable(to)]
  const copy = await begin(source, target)
  const markedAt = performance.now()
  // An earlier process may still be alive, and notices only now that this one goes on.
  if (copy.isResumed) await setTimeout(Math.min(settleMs, 2 * ownershipTtlMs), undefined, { signal })
  await assertUnused(source)
  await assertUnused(target)
  using digest = new RecordDigest()
  using tasks = new OpenTasks()
  const head = await source.driver.head()
  const blobs = new BlobCopy(source.driver.blobs, target.driver.blobs)
  const cursors = new Map<string, string>()
  const copying = await CopyProgressReport.of('copying', source.driver, onProgress)
  const observe = async function* (records: AsyncIterable<TransferRecord>) {
    for await (const record of records) {
      signal?.throwIfAborted()
      await copy.assertOwned()
      if (record.kind === 'document' && record.key === copyMarkKey) continue
      if (record.kind === 'turn') tasks.see(record)
      digest.add('source', record)
      if (record.kind === 'document' && hasCursor(record.key)) cursors.set(record.key, record.value)
      await blobs.copyFor(record)
      copying.see(record)
      yield record
    }
  }
  await target.transfer.importRecords(observe(source.transfer.exportRecords()), copy.above)
  await verify({ target, digest, cursors, above: copy.above, signal, onProgress })
  await setTimeout(Math.max(0, settleMs - (performance.now() - markedAt)), undefined, { signal })
  await assertUnused(source)
  if ((await source.driver.head()) !== head)
    throw refused(`"${source.name}" got events while it was copied; stop what publishes there`)
  await copy.end()
  return { events: copying.events, blobs: blobs.copied, digest: digest.total('source') }
}

/**
 * Gives the source of a copy back to its workers, and refuses them on the target. What workers did on the target stays there alone.
 * `to`: undefined if the target is gone.
 * @throws E_COPY_REFUSED
 */
export async function undoCopy(from: CopyPlace, to?: CopyPlace): Promise<void> {
  const held = await HeldCopyMark.read(from.driver)
  const source = held.mark
  if (source?.role !== 'source' || source.state === 'released')
    throw refused(`"${from.name}" was not copied, so there is nothing to undo`)
  if (to) {
    const target = await HeldCopyMark.read(to.driver)
    if (target.mark?.id !== source.id) throw refused(`"${to.name}" is not the target of the copy of "${from.name}"`)
    await assertUnused(transferable(to))
    await target.replace({ ...source, role: 'target', state: 'abandoned', peer: from.name })
  }
  await held.replace({ ...source, state: 'released' })
}

interface Verification {
  readonly target: TransferableLog
  readonly digest: RecordDigest
  /** Documents of the source that hold cursors, by key. */
  readonly cursors: ReadonlyMap<string, string>
  readonly above: number
  readonly signal: AbortSignal | undefined
  readonly onProgress: CopyOptions['onProgress']
}

/** Reads the target, compares it, and translates the cursors that documents hold. @throws E_COPY_DIFFERS */
async function verify({ target, digest, cursors, above, signal, onProgress }: Verification): Promise<void> {
  const { driver } = target
  const verifying = await CopyProgressReport.of('verifying', driver, onProgress)
  const translations = new Map<Cursor, CursorTranslation>()
  for (const [key, text] of cursors)
    for (const cursor of cursorsIn(key, text))
      translations.set(cursor, new CursorTranslation(cursor, driver.partitions, above))
  for await (const record of target.transfer.exportRecords()) {
    signal?.throwIfAborted()
    digest.add('target', record)
    verifying.see(record)
    if (record.kind === 'event' || record.kind === 'turn')
      for (const each of translations.values()) each.see(record.position, digest.placeOf(record))
  }
  if (digest.total('source') !== digest.total('target'))
    throw new TidingsError(
      'E_COPY_DIFFERS',
      `"${target.name}" does not hold what was copied: ${digest.differences(5).join('; ')}`,
    )
  for (const [key, text] of cursors) {
    const translated = withCursors(key, text, cursor => translations.get(cursor)?.cursor ?? beginning)
    const { revision = 0 } = (await driver.getDocument(key)) ?? {}
    if ((await driver.putDocument(key, translated, revision)) === 0)
      throw refused(`document "${key}" of "${target.name}" was changed while it was copied; stop what writes there`)
  }
}

/** A copy that this process has begun, or goes on with. */
class OwnedCopy {
  readonly #source: HeldCopyMark
  readonly #target: HeldCopyMark
  readonly above: number
  readonly isResumed: boolean
  #seenAt = performance.now()

  constructor(source: HeldCopyMark, target: HeldCopyMark, isResumed: boolean) {
    this.#source = source
    this.#target = target
    this.above = target.mark!.above
    this.isResumed = isResumed
  }

  /** Looks at the marks when what is known of them is old. @throws E_COPY_REFUSED if another process goes on with this copy */
  async assertOwned(): Promise<void> {
    if (performance.now() - this.#seenAt < ownershipTtlMs) return
    await this.#source.assertUnchanged()
    await this.#target.assertUnchanged()
    this.#seenAt = performance.now()
  }

  /** @throws E_COPY_REFUSED if another process goes on with this copy, or has undone it */
  async end(): Promise<void> {
    await this.#target.assertUnchanged()
    await this.#source.replace({ ...this.#source.mark!, state: 'copied' })
    await this.#target.replace({ ...this.#target.mark!, state: 'verified' })
  }
}

/** Marks both logs, or finds the marks of this copy, which was interrupted. */
async function begin(source: TransferableLog, target: TransferableLog): Promise<OwnedCopy> {
  const [ofSource, ofTarget] = [await HeldCopyMark.read(source.driver), await HeldCopyMark.read(target.driver)]
  const [before, known] = [ofSource.mark, ofTarget.mark]
  const isOwn = known?.role === 'target' && before?.role === 'source' && known.id === before.id
  if (isOwn && known.state === 'copying')
    return new OwnedCopy(await ofSource.replace({ ...before, state: 'copying' }), await ofTarget.replace(known), true)
  const isBegun = before?.role === 'source' && before.state === 'copying' && before.peer === target.name
  if (isOwn && known.state === 'verified')
    throw refused(`"${source.name}" was copied to "${target.name}" at ${known.at}, and that was verified`)
  if (before?.role === 'source' && before.state !== 'released' && !isBegun)
    throw refused(`"${source.name}" was copied to "${before.peer}", or is being copied; undo that first, with --undo`)
  if (before?.role === 'target' && before.state !== 'verified')
    throw refused(`"${source.name}" is itself a copy that is not verified, or was undone`)
  if (known?.role === 'target' || (await target.driver.head()) !== beginning || (await hasGroups(target)))
    throw refused(`"${target.name}" is not empty; copy into a new log`)
  const mark: Omit<CopyMark, 'at'> = {
    role: 'target',
    state: 'copying',
    id: isBegun ? before.id : randomUUID(),
    peer: source.name,
    above: Math.max(Date.now() * maxEventsPerMs, ...offsetsOf(await source.driver.head(), source.driver.partitions)),
  }
  // The source first: a target that nobody can complete refuses its workers for no reason.
  const marked = await ofSource.replace({ ...mark, role: 'source', peer: target.name })
  return new OwnedCopy(marked, await ofTarget.replace(mark), false)
}

async function hasGroups({ driver }: CopyPlace): Promise<boolean> {
  return (await driver.listGroups()).length > 0
}

async function assertUnused({ transfer, name }: TransferableLog): Promise<void> {
  const busy = await transfer.busyGroups()
  if (busy.length > 0)
    throw refused(`workers are on "${name}", in ${busy.slice(0, 5).join(', ')}; stop every process that uses it`)
}

function transferable(place: CopyPlace): TransferableLog {
  const { transfer, name } = place.driver
  if (!transfer) throw refused(`the driver "${name}" cannot export or import a log`)
  return { ...place, transfer }
}

const refused = (why: string) => new TidingsError('E_COPY_REFUSED', why)
