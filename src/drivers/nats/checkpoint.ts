import type { LiveTaskState } from './task-checkpoint.ts'
import type { NatsLog } from './nats-log.ts'

/*
 * A checkpoint saves the next owner of a shard from reading the log from its start. Its document says up to where it reaches;
 * its rows are documents of their own. An owner also writes one while it reads the shard for the first time, so that the next
 * owner continues where it died. Turns whose events were not all read by then are `open`: `at` stays below them, for versions
 * that do not read `open`. Only the owner writes it, fenced by the revision of the document. A new owner stores the document
 * once more, so that writes of the previous owner, whose view may be out of date, are refused.
 *
 *     LOG.s.checkpoint.GROUP.SHARD           { at, rows, key, readTo?, open? }
 *     LOG.s.checkpoint.GROUP.SHARD.KEY.FROM  rows; KEY is the revision by which they were written
 */

type Row = [task: string, origin: number, wake: number | null, seq: number]

interface Head {
  readonly at: number
  readonly rows: number
  /** Absent where an older version wrote it, which used `at`. */
  readonly key?: number
  /** Everything up to here was read, beyond `at`; `open` lists what was then left of each turn. */
  readonly readTo?: number
  readonly open?: readonly OpenTurn[]
}

/** A turn with events that were not read yet. */
export type OpenTurn = readonly [seq: number, missing: readonly string[]]

export interface Checkpoint {
  /** Everything up to here is covered. */
  readonly at: number
  readonly open: readonly OpenTurn[]
}

export interface CheckpointContent extends Checkpoint {
  readonly live: ReadonlyMap<string, LiveTaskState>
}

const rowsPerDocument = 4_000
/** With more missing events than these, the turns are read again instead. */
const maxOpenIds = 2_000
const nothing: Head = { at: 0, rows: 0 }

const headOf = (stored: { text(): string } | undefined) => (stored ? (JSON.parse(stored.text()) as Head) : nothing)

/** Adds the live tasks of a checkpoint. */
export async function readCheckpoint(
  log: NatsLog,
  shard: number,
  group: string,
  live: Map<string, LiveTaskState>,
): Promise<Checkpoint> {
  const document = log.names.doc('checkpoint', group, shard)
  for (let stored = await log.state.last(document); stored; ) {
    const head = headOf(stored)
    const found = await rowsOf(log, shard, group, head)
    if (found) {
      const { beginsAt } = log.streamOfShard(shard)
      for (const [task, origin, wake, seq] of found) if (seq >= beginsAt) live.set(task, { group, origin, wake, seq })
      return { at: head.readTo ?? head.at, open: head.open ?? [] }
    }
    // The owner has written a newer one since. If not, its rows are gone and the log is read from its start.
    const before: number = stored.seq
    stored = await log.state.last(document)
    if (stored?.seq === before) break
  }
  return { at: 0, open: [] }
}

async function rowsOf(
  log: NatsLog,
  shard: number,
  group: string,
  { at, rows, key = at }: Head,
): Promise<Row[] | undefined> {
  const found: Row[] = []
  for (let i = 0; i < rows; i += rowsPerDocument) {
    const page = await log.state.last(log.names.doc('checkpoint', group, shard, key, i))
    if (!page) return undefined
    found.push(...(JSON.parse(page.text()) as Row[]))
  }
  return found
}

/** Takes the checkpoint over unchanged; returns the revision that the next write must have. */
export async function takeCheckpoint(log: NatsLog, shard: number, group: string): Promise<number> {
  const document = log.names.doc('checkpoint', group, shard)
  for (;;) {
    const before = await log.state.last(document)
    const revision = await log.state.putAfter(before?.seq ?? 0, document, before?.text() ?? JSON.stringify(nothing))
    if (revision === undefined) continue
    // An owner that died while writing left rows that no document refers to.
    if (before) await log.state.purge(log.names.doc('checkpoint', group, shard, before.seq, '*'))
    return revision
  }
}

/** The next revision; undefined, and nothing is written, if another process has taken the shard over. */
export async function writeCheckpoint(
  log: NatsLog,
  { shard, group, revision }: { shard: number; group: string; revision: number },
  { at, open, live }: CheckpointContent,
): Promise<number | undefined> {
  const rows: Row[] = [...live].map(([task, { origin, wake, seq }]) => [task, origin, wake, seq])
  for (let i = 0; i < rows.length; i += rowsPerDocument)
    await log.state.append(
      log.names.doc('checkpoint', group, shard, revision, i),
      JSON.stringify(rows.slice(i, i + rowsPerDocument)),
    )
  const document = log.names.doc('checkpoint', group, shard)
  const before = headOf(await log.state.last(document))
  const head: Head = { rows: rows.length, key: revision, ...coverage(at, open) }
  const next = await log.state.putAfter(revision, document, JSON.stringify(head))
  // If it was refused, the new owner purges the rows.
  if (next !== undefined) await log.state.purge(log.names.doc('checkpoint', group, shard, before.key ?? before.at, '*'))
  return next
}

function coverage(at: number, open: readonly OpenTurn[]): Pick<Head, 'at' | 'readTo' | 'open'> {
  if (open.length === 0) return { at }
  const covered = Math.min(at, ...open.map(([seq]) => seq - 1))
  const ids = open.reduce((sum, [, missing]) => sum + missing.length, 0)
  return ids > maxOpenIds ? { at: covered } : { at: covered, readTo: at, open }
}
