import { correlationOf } from '../../bus/ids.ts'
import { type OpenTurn, readCheckpoint } from './checkpoint.ts'
import { fromToken } from './names.ts'
import type { NatsLog } from './nats-log.ts'
import type { StoredMessage } from './stored-message.ts'
import { msgId } from './stream.ts'
import { type StoredTurn, decodeId, originOfTurn, taskOf, turnHeaders, type Turns } from './turns.ts'
import { UnfinishedTurns } from './unfinished-turns.ts'

/** An unfinished task. */
export interface LiveTaskState {
  readonly group: string
  /** The log must be kept from here. */
  readonly origin: number
  readonly wake: number | null
  /** Sequence of the message with this state; older messages are ignored. */
  readonly seq: number
}

/** A change by a process that may not own the shard any more, so its owner may not know it. */
interface Announcement {
  readonly task: string
}

/*
 * The live tasks of a shard and their wake-ups are stored only in the headers of turns, so a turn costs one write. The owner
 * of a shard folds the headers and writes a checkpoint now and then; the next owner reads the checkpoint and the turns after
 * it. A checkpoint covers only what its writer has seen. A process that changes a task and may not own its shard any more,
 * because it slept through its lease, leaves an announcement.
 *
 * Each turn carries the whole state of its task, so the newest known turn is right even if others were missed. Turns of
 * older versions carry only changes, and need everything before them.
 */

/** The result of an earlier reading. */
interface PreviousReading {
  readonly at: number
  readonly live: Map<string, LiveTaskState>
  /** Sequences of announcements. */
  readonly announcements: ReadonlySet<number>
}

interface FoldOptions {
  /** Only the tasks of this group; all groups by default. */
  readonly group?: string
  /** An earlier reading of the group that is continued. */
  readonly known?: PreviousReading | undefined
  /** With it, the fold also finds turns whose events are missing. */
  readonly turns?: Turns
  /** Called now and then while it is read. */
  readonly onProgress?: (fold: ShardFold) => Promise<void>
}

const progressMessages = 2_000
const progressIntervalMs = 1_000

/** The live tasks of one shard. */
export async function foldShard(log: NatsLog, shard: number, options: FoldOptions = {}): Promise<ShardFold> {
  const { group: onlyGroup, known, turns, onProgress } = options
  const live = known?.live ?? new Map<string, LiveTaskState>()
  const from = new Map<string, number>()
  const open: OpenTurn[] = []
  for (const group of onlyGroup === undefined ? await shardedGroups(log) : [onlyGroup]) {
    const checkpoint = known ? { at: known.at, open: [] } : await readCheckpoint(log, shard, group, live)
    from.set(group, checkpoint.at)
    open.push(...checkpoint.open)
  }
  const start = from.size > 0 ? Math.min(...from.values()) : 0
  const stream = log.streamOfShard(shard)
  const until = await stream.head()
  const fold = new ShardFold({ live, start, until, unfinished: turns && new UnfinishedTurns(stream, turns, open) })
  let read = 0
  let progressAt = performance.now()
  for await (const stored of stream.scanHeaders(log.names.shard(shard), start + 1, until)) {
    const group = groupOfTurn(stored)
    if (stored.subject.startsWith(`${log.names.log}.e.`)) fold.published(stored)
    else if (
      group !== undefined &&
      (onlyGroup === undefined || onlyGroup === group) &&
      stored.seq > (from.get(group) ?? 0)
    )
      await fold.add(log, stored, group)
    fold.readTo = stored.seq
    if (++read % progressMessages !== 0 && performance.now() - progressAt < progressIntervalMs) continue
    await fold.unfinished?.examine()
    await onProgress?.(fold)
    progressAt = performance.now()
  }
  fold.readTo = until
  await fold.unfinished?.examine()
  for await (const { task, group, seq } of announcedIn(log, shard, onlyGroup)) {
    fold.announcements.push(seq)
    if (known?.announcements.has(seq)) continue
    const newest = await stream.last(log.names.turn(task))
    if (newest) await fold.addNewest(log, newest, group)
  }
  return fold
}

/** The announcements of a shard, for one group or all, with the sequences of their documents. */
export async function* announcedIn(log: NatsLog, shard: number, onlyGroup?: string) {
  for await (const { subject, seq, text } of log.state.scan({
    subject: log.names.doc('foreign', onlyGroup ?? '*', shard, '*'),
  })) {
    const { task } = JSON.parse(text()) as Announcement
    yield { task, group: fromToken(subject.split('.').at(-3)!), seq }
  }
}

/** `seq`: of the changed turn. */
export async function announceChange(
  log: NatsLog,
  { group, shard, seq, task }: { group: string; shard: number; seq: number; task: string },
): Promise<void> {
  await log.state.append(log.names.doc('foreign', group, shard, seq), JSON.stringify({ task } satisfies Announcement))
}

/**
 * The state of a task by its newest turn. If that is of an older version, by all of its turns, or by those after `known`.
 */
export async function liveOf(
  log: NatsLog,
  newest: StoredMessage,
  group: string,
  known: { readonly at: number; readonly state?: LiveTaskState | undefined } = { at: 0 },
): Promise<LiveTaskState | undefined> {
  if (newest.header(turnHeaders.end) || isSelfContained(newest)) return applyTurn(undefined, newest, group)
  const task = taskOf(newest.subject)
  const fold = new ShardFold({ live: new Map(known.state && [[task, known.state]]), start: 0, until: newest.seq })
  const shard = log.names.shardOf(correlationOf(task))
  const stream = log.streamOfShard(shard)
  const messages = await Array.fromAsync(
    stream.scan({ subject: newest.subject, from: known.at + 1, until: newest.seq }),
  )
  const wakes = log.names.wake(shard, group)
  for await (const stored of stream.scan({ subject: wakes, from: newest.seq })) messages.push(stored)
  for (const stored of messages) await fold.add(log, stored, group)
  return fold.live.get(task)
}

interface ShardFoldOptions {
  readonly live: Map<string, LiveTaskState>
  readonly start: number
  readonly until: number
  readonly unfinished?: UnfinishedTurns | undefined
}

export class ShardFold {
  readonly live: Map<string, LiveTaskState>
  /** The reading continues after this position and ends with `until`. */
  readonly start: number
  readonly until: number
  readonly unfinished: UnfinishedTurns | undefined
  /** The log was read up to here. */
  readTo: number
  /** Sequences of the announcements that are folded in. */
  readonly announcements: number[] = []
  /** Turns that were announced and stored after the reading began. */
  readonly announced: StoredMessage[] = []

  constructor({ live, start, until, unfinished }: ShardFoldOptions) {
    this.live = live
    this.start = start
    this.readTo = start
    this.until = until
    this.unfinished = unfinished
  }

  async add(log: NatsLog, stored: StoredMessage, group: string): Promise<void> {
    if (stored.subject.includes('.w.')) {
      const message = await log.streamOfShard(log.names.shardIn(stored.subject)).at(stored.seq)
      if (message) applyLegacyWake(this.live, message, group)
      return
    }
    const task = taskOf(stored.subject)
    this.#set(task, applyTurn(this.live.get(task), stored, group))
    this.unfinished?.add(stored)
  }

  /** Adds the newest turn of an announced task. */
  async addNewest(log: NatsLog, newest: StoredMessage, group: string): Promise<void> {
    const task = taskOf(newest.subject)
    if ((this.live.get(task)?.seq ?? 0) >= newest.seq) return
    this.#set(task, await liveOf(log, newest, group))
    if (newest.seq > this.until) this.announced.push(newest)
  }

  published({ header }: StoredMessage): void {
    this.unfinished?.published(decodeId(header(msgId)))
  }

  #set(task: string, after: LiveTaskState | undefined): void {
    if (after) this.live.set(task, after)
    else this.live.delete(task)
  }
}

/** Whether a turn carries the whole state of its task. */
export const isSelfContained = ({ header }: Pick<StoredTurn, 'header'>) =>
  header(turnHeaders.wake) !== '' &&
  (header(turnHeaders.version) === '1' || !!header(turnHeaders.snapshot) || header(turnHeaders.origin) !== '')

/**
 * The state of a task after a turn; undefined if it has ended. `before` supplies what a turn of an older version leaves out.
 */
export function applyTurn(
  before: LiveTaskState | undefined,
  stored: StoredTurn,
  group: string,
): LiveTaskState | undefined {
  const { seq, header } = stored
  if (before && before.seq >= seq) return before
  if (header(turnHeaders.end)) return undefined
  const wake = header(turnHeaders.wake)
  return {
    group,
    origin: originOfTurn(stored) || before?.origin || seq,
    wake: wake === '' ? (before?.wake ?? null) : wake === 'none' ? null : Number(wake),
    seq,
  }
}

/** Whether a turn that was recently the newest contradicts the known state of its task. */
export function differs(known: LiveTaskState | undefined, { seq, header }: StoredTurn): boolean {
  if (header(turnHeaders.end)) return known !== undefined && known.seq <= seq
  if (!known || known.seq < seq) return true
  if (known.seq > seq) return false
  const wake = header(turnHeaders.wake)
  return wake === '' ? known.wake === null : wake !== String(known.wake ?? 'none')
}

/** Older versions changed a wake-up without a turn. */
function applyLegacyWake(live: Map<string, LiveTaskState>, stored: StoredMessage, group: string): void {
  const { task, wake } = JSON.parse(stored.text()) as { task: string; wake: number | null }
  const before = live.get(task)
  if (before && before.group === group && before.seq < stored.seq) live.set(task, { ...before, wake, seq: stored.seq })
}

export function groupOfTurn({ header }: Pick<StoredTurn, 'header'>): string | undefined {
  const group = header(turnHeaders.group)
  return group ? decodeURIComponent(group) : undefined
}

/** The groups on this log whose members run tasks. */
export async function shardedGroups(log: NatsLog): Promise<string[]> {
  const documents = await log.state.documents(log.names.doc('group', '*'))
  const groups = documents.map(({ text }) => JSON.parse(text()) as { group: string; mode: string })
  return groups.filter(({ mode }) => mode === 'sharded').map(({ group }) => group)
}
