import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { TidingsError } from '../../errors.ts'
import { beginning, offsetsOf } from '../cursor.ts'
import type { Cursor, Driver, LogTransfer, TransferRecord } from '../driver.ts'
import { BlobCopy } from './copy-blobs.ts'
import { type CopyProgress, CopyProgressReport } from './copy-progress.ts'
import { CursorTranslation, cursorsIn, hasCursor, withCursors } from './document-cursors.ts'
import { markTtlMs } from './guard.ts'
import { type CopyMark, copyMarkKey, readCopyMark, writeCopyMark } from './mark.ts'
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
  const mark = await begin(source, target)
  const markedAt = performance.now()
  await assertUnused(source)
  await assertUnused(target)
  using digest = new RecordDigest()
  const head = await source.driver.head()
  const blobs = new BlobCopy(source.driver.blobs, target.driver.blobs)
  const cursors = new Map<string, string>()
  const copying = await CopyProgressReport.of('copying', source.driver, onProgress)
  const observe = async function* (records: AsyncIterable<TransferRecord>) {
    for await (const record of records) {
      signal?.throwIfAborted()
      if (record.kind === 'document' && record.key === copyMarkKey) continue
      digest.add('source', record)
      if (record.kind === 'document' && hasCursor(record.key)) cursors.set(record.key, record.value)
      await blobs.copyFor(record)
      copying.see(record)
      yield record
    }
  }
  await target.transfer.importRecords(observe(source.transfer.exportRecords()), mark.above)
  await verify({ target, digest, cursors, above: mark.above, signal, onProgress })
  await setTimeout(Math.max(0, settleMs - (performance.now() - markedAt)), undefined, { signal })
  await assertUnused(source)
  if ((await source.driver.head()) !== head)
    throw refused(`"${source.name}" got events while it was copied; stop what publishes there`)
  await writeCopyMark(source.driver, { ...mark, role: 'source', state: 'copied', peer: target.name })
  await writeCopyMark(target.driver, { ...mark, role: 'target', state: 'verified', peer: source.name })
  return { events: copying.events, blobs: blobs.copied, digest: digest.total('source') }
}

/**
 * Gives the source of a copy back to its workers, and refuses them on the target. What workers did on the target stays there alone.
 * `to`: undefined if the target is gone.
 * @throws E_COPY_REFUSED
 */
export async function undoCopy(from: CopyPlace, to?: CopyPlace): Promise<void> {
  const source = await readCopyMark(from.driver)
  if (source?.role !== 'source' || source.state === 'released')
    throw refused(`"${from.name}" was not copied, so there is nothing to undo`)
  if (to) {
    if ((await readCopyMark(to.driver))?.id !== source.id)
      throw refused(`"${to.name}" is not the target of the copy of "${from.name}"`)
    await assertUnused(transferable(to))
    await writeCopyMark(to.driver, { ...source, role: 'target', state: 'abandoned', peer: from.name })
  }
  await writeCopyMark(from.driver, { ...source, state: 'released' })
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

/** Marks both logs, or finds the marks of this copy, which was interrupted. */
async function begin(source: TransferableLog, target: TransferableLog): Promise<CopyMark> {
  const [before, known] = [await readCopyMark(source.driver), await readCopyMark(target.driver)]
  const isOwn = known?.role === 'target' && before?.role === 'source' && known.id === before.id
  if (isOwn && known.state === 'copying') {
    await writeCopyMark(source.driver, { ...before, state: 'copying' })
    return known
  }
  const isBegun = before?.role === 'source' && before.state === 'copying' && before.peer === target.name
  if (isOwn && known.state === 'verified')
    throw refused(`"${source.name}" was copied to "${target.name}" at ${known.at}, and that was verified`)
  if (before?.role === 'source' && before.state !== 'released' && !isBegun)
    throw refused(`"${source.name}" was copied to "${before.peer}", or is being copied; undo that first, with --undo`)
  if (before?.role === 'target' && before.state !== 'verified')
    throw refused(`"${source.name}" is itself a copy that is not verified, or was undone`)
  if (known?.role === 'target' || (await target.driver.head()) !== beginning || (await hasGroups(target)))
    throw refused(`"${target.name}" is not empty; copy into a new log`)
  const mark: CopyMark = {
    role: 'target',
    state: 'copying',
    id: isBegun ? before.id : randomUUID(),
    peer: source.name,
    above: Math.max(Date.now() * maxEventsPerMs, ...offsetsOf(await source.driver.head(), source.driver.partitions)),
    at: '',
  }
  // The source first: a target that nobody can complete refuses its workers for no reason.
  await writeCopyMark(source.driver, { ...mark, role: 'source', peer: target.name })
  await writeCopyMark(target.driver, mark)
  return mark
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
