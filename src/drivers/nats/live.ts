import { untoken } from './names.ts'
import type { Log } from './provision.ts'
import { msgId, type StoredMessage } from './stream.ts'
import { taskOf, turnHeaders, type Turns } from './turns.ts'

/** An unfinished task. */
export interface LiveTask {
  readonly group: string
  /** The log must be kept from here on. */
  readonly origin: number
  readonly wake: number | null
  /** Sequence of the message that says so: what is older does not count. */
  readonly seq: number
}

type Row = [task: string, origin: number, wake: number | null, seq: number]

/** What a checkpoint says: all that lies up to `at` is folded in, and every turn up to there has its events on the log. */
interface Checkpoint {
  readonly at: number
  readonly rows: number
}

const rowsPerDocument = 4_000

/** A change by somebody who did not surely own the shard any more: its owner may not have heard of it. */
interface Announcement {
  readonly task: string
  /** Where the wake-up alone was changed. */
  readonly wake?: number | null
}

/*
 * Which tasks of a shard live, and when they want to be woken, is nowhere but in the headers of their turns: the owner of a
 * shard folds them, and writes down from time to time how far it is. So a turn costs no second write. Whoever takes a shard
 * over reads the checkpoint and what came after it. A checkpoint covers only what its writer has seen; whoever changes a task
 * without surely owning its shard, as one that slept through the end of its lease, leaves an announcement.
 */

/** The live tasks whose wake-up was due before a moment (ms since the epoch). */
export async function* overdueIn(log: Log, before: number) {
  for (let shard = 0; shard < log.names.shards; shard++)
    for (const [task, { group, wake }] of (await foldShard(log, shard)).live)
      if (wake !== null && wake < before) yield { group, task, due: wake }
}

/** The live tasks of one shard, of all groups or of one. `known`: of the one, where it was read up to some position already. */
export async function foldShard(
  log: Log,
  shard: number,
  only?: string,
  known?: { readonly at: number; readonly live: Map<string, LiveTask> },
): Promise<Fold> {
  const live = known?.live ?? new Map<string, LiveTask>()
  const from = new Map<string, number>()
  for (const group of only === undefined ? await groupsOf(log) : [only])
    from.set(group, known?.at ?? (await readCheckpoint(log, shard, group, live)))
  const start = from.size > 0 ? Math.min(...from.values()) : 0
  const fold = new Fold(live)
  for await (const stored of log.events.scan({ subject: log.names.shard(shard), from: start + 1 })) {
    const group = groupOf(stored)
    if (stored.subject.startsWith(`${log.names.log}.e.`)) fold.published(stored)
    else if (group !== undefined && (only === undefined || only === group) && stored.seq > (from.get(group) ?? 0))
      fold.add(stored, group)
  }
  for await (const stored of log.state.scan({ subject: log.names.doc('foreign', only ?? '*', shard, '*') })) {
    fold.announcements.push(stored.seq)
    const group = untoken(stored.subject.split('.').at(-3)!)
    await learn(
      log,
      fold.live,
      group,
      Number(stored.subject.split('.').at(-1)),
      JSON.parse(stored.text()) as Announcement,
    )
  }
  return fold
}

/** `seq`: of what was changed. */
export async function announce(log: Log, group: string, shard: number, seq: number, what: Announcement): Promise<void> {
  await log.state.append(log.names.doc('foreign', group, shard, seq), JSON.stringify(what))
}

/** The newest turn says what the task is now, whatever was announced. */
async function learn(
  log: Log,
  live: Map<string, LiveTask>,
  group: string,
  seq: number,
  { task, wake }: Announcement,
): Promise<void> {
  const newest = await log.events.last(log.names.turn(task))
  const after = newest && turned(live.get(task), newest, group)
  if (!after) return void live.delete(task)
  live.set(task, wake !== undefined && seq > after.seq ? { ...after, wake, seq } : after)
}

export class Fold {
  readonly live: Map<string, LiveTask>
  /** Sequences of the announcements that are folded in. */
  readonly announcements: number[] = []
  /** Turns with events that were not seen behind them. */
  readonly #open = new Map<StoredMessage, number>()
  readonly #waiting = new Map<string, StoredMessage>()

  constructor(live: Map<string, LiveTask>) {
    this.live = live
  }

  add(stored: StoredMessage, group: string): void {
    if (stored.subject.includes('.w.')) return armed(this.live, stored, group)
    const task = taskOf(stored.subject)
    const before = this.live.get(task)
    const after = turned(before, stored, group)
    if (after) this.live.set(task, after)
    else this.live.delete(task)
    const events = Number(stored.header(turnHeaders.events)) || 0
    if (events === 0) return
    this.#open.set(stored, events)
    const turn = `${task}:${stored.header(turnHeaders.version).padStart(7, '0')}`
    this.#waiting.set(turn, stored)
  }

  published({ header }: StoredMessage): void {
    const turn = header(msgId).split(':').slice(0, 2).join(':')
    const stored = this.#waiting.get(turn)
    if (!stored) return
    const left = this.#open.get(stored)! - 1
    this.#open.set(stored, left)
    if (left > 0) return
    this.#open.delete(stored)
    this.#waiting.delete(turn)
  }

  /** Publishes what writers that are gone did not come to. */
  async repair(turns: Turns): Promise<void> {
    for (const stored of this.#open.keys()) await turns.complete(stored)
  }
}

/** What a turn makes of its task; undefined when it has ended. */
export function turned(
  before: LiveTask | undefined,
  stored: Pick<StoredMessage, 'seq' | 'header'>,
  group: string,
): LiveTask | undefined {
  const { seq, header } = stored
  if (before && before.seq >= seq) return before
  if (header(turnHeaders.end)) return undefined
  const wake = header(turnHeaders.wake)
  const origin = header(turnHeaders.snapshot) ? seq : Number(header(turnHeaders.snapshotAt)) || before?.origin || seq
  return {
    group,
    origin,
    wake: wake === '' ? (before?.wake ?? null) : wake === 'none' ? null : Number(wake),
    seq,
  }
}

function armed(live: Map<string, LiveTask>, stored: StoredMessage, group: string): void {
  const { task, wake } = JSON.parse(stored.text()) as { task: string; wake: number | null }
  const before = live.get(task)
  if (before && before.group === group && before.seq < stored.seq) live.set(task, { ...before, wake, seq: stored.seq })
}

function groupOf({ header }: StoredMessage): string | undefined {
  const group = header(turnHeaders.group)
  return group ? decodeURIComponent(group) : undefined
}

/** Adds the live tasks of a checkpoint; returns up to where it reaches. */
async function readCheckpoint(log: Log, shard: number, group: string, live: Map<string, LiveTask>): Promise<number> {
  const stored = await log.state.last(log.names.doc('checkpoint', group, shard))
  if (!stored) return 0
  const { at, rows } = JSON.parse(stored.text()) as Checkpoint
  for (let i = 0; i < rows; i += rowsPerDocument) {
    const page = await log.state.last(log.names.doc('checkpoint', group, shard, at, i))
    // The owner wrote a newer one meanwhile.
    if (!page) return readCheckpoint(log, shard, group, live)
    for (const [task, origin, wake, seq] of JSON.parse(page.text()) as Row[])
      live.set(task, { group, origin, wake, seq })
  }
  return at
}

/** False when a newer one is there. */
export async function writeCheckpoint(
  log: Log,
  shard: number,
  group: string,
  at: number,
  live: ReadonlyMap<string, LiveTask>,
): Promise<boolean> {
  const rows: Row[] = [...live].map(([task, { origin, wake, seq }]) => [task, origin, wake, seq])
  for (let i = 0; i < rows.length; i += rowsPerDocument)
    await log.state.append(
      log.names.doc('checkpoint', group, shard, at, i),
      JSON.stringify(rows.slice(i, i + rowsPerDocument)),
    )
  const document = log.names.doc('checkpoint', group, shard)
  const before = await log.state.last(document)
  const old = before && (JSON.parse(before.text()) as Checkpoint)
  if (old && old.at >= at) return false
  await log.state.append(document, JSON.stringify({ at, rows: rows.length } satisfies Checkpoint))
  if (old && old.rows > 0) await log.state.purge(log.names.doc('checkpoint', group, shard, old.at, '*'))
  return true
}

/** The groups that are known on this log. */
async function groupsOf(log: Log): Promise<string[]> {
  const groups: string[] = []
  for await (const { text } of log.state.scan({ subject: log.names.doc('group', '*') }))
    groups.push((JSON.parse(text()) as { group: string }).group)
  return groups
}
