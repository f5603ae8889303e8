import { type OpenTurn, readCheckpoint } from './checkpoint.ts'
import { fromToken } from './names.ts'
import type { NatsLog } from './provision.ts'
import type { StoredMessage } from './stored-message.ts'
import { msgId } from './stream.ts'
import { type StoredTurn, decodeId, originOfTurn, taskOf, turnHeaders, type Turns } from './turns.ts'
import { UnfinishedTurns } from './unfinished-turns.ts'

/** An unfinished task. */
export interface LiveTaskState {
  readonly group: string
  /** The log must be kept from here on. */
  readonly origin: number
  readonly wake: number | null
  /** Sequence of the message that says so: what is older does not count. */
  readonly seq: number
}

/** A change by somebody who did not surely own the shard any more: its owner may not have heard of it. */
interface Announcement {
  readonly task: string
}

/*
 * Which tasks of a shard live, and when they want to be woken, is nowhere but in the headers of their turns: the owner of a
 * shard folds them, and writes down from time to time how far it is. So a turn costs no second write. Whoever takes a shard
 * over reads the checkpoint and what came after it. A checkpoint covers only what its writer has seen; whoever changes a task
 * without surely owning its shard, as one that slept through the end of its lease, leaves an announcement.
 *
 * Each turn says all that there is to know of its task, so that the newest turn that is known is right whatever else was
 * missed. Turns of older versions say only what they change: those count only where everything before them was read.
 */

/** What was read already. */
interface PreviousReading {
  readonly at: number
  readonly live: Map<string, LiveTaskState>
  /** Sequences of announcements. */
  readonly learnt: ReadonlySet<number>
}

interface FoldOptions {
  /** Only the tasks of this group; all groups by default. */
  readonly group?: string
  /** Of the group, where it was read up to some position already. */
  readonly known?: PreviousReading | undefined
  /** Given, the fold also finds the turns whose events are missing. */
  readonly turns?: Turns
  /** Called now and then while it is read. */
  readonly onProgress?: (fold: ShardFold) => Promise<void>
}

const progressMessages = 2_000
const progressIntervalMs = 1_000

/** The live tasks of one shard. */
export async function foldShard(log: NatsLog, shard: number, options: FoldOptions = {}): Promise<ShardFold> {
  const { group: only, known, turns, onProgress } = options
  const live = known?.live ?? new Map<string, LiveTaskState>()
  const from = new Map<string, number>()
  const open: OpenTurn[] = []
  for (const group of only === undefined ? await shardedGroups(log) : [only]) {
    const checkpoint = known ? { at: known.at, open: [] } : await readCheckpoint(log, shard, group, live)
    from.set(group, checkpoint.at)
    open.push(...checkpoint.open)
  }
  const start = from.size > 0 ? Math.min(...from.values()) : 0
  const until = await log.events.head()
  const fold = new ShardFold(live, start, until, turns && new UnfinishedTurns(log, turns, open))
  let read = 0
  let progressAt = performance.now()
  for await (const stored of log.events.scanHeaders(log.names.shard(shard), start + 1, until)) {
    const group = groupOfTurn(stored)
    if (stored.subject.startsWith(`${log.names.log}.e.`)) fold.published(stored)
    else if (group !== undefined && (only === undefined || only === group) && stored.seq > (from.get(group) ?? 0))
      await fold.add(log, stored, group)
    fold.readTo = stored.seq
    if (++read % progressMessages !== 0 && performance.now() - progressAt < progressIntervalMs) continue
    await fold.unfinished?.examine()
    await onProgress?.(fold)
    progressAt = performance.now()
  }
  fold.readTo = until
  await fold.unfinished?.examine()
  for await (const { task, group, seq } of announcedIn(log, shard, only)) {
    fold.announcements.push(seq)
    if (known?.learnt.has(seq)) continue
    const newest = await log.events.last(log.names.turn(task))
    if (newest) await fold.learn(log, newest, group)
  }
  return fold
}

/** The announcements of a shard, of all groups or of one, with the sequences of their documents. */
export async function* announcedIn(log: NatsLog, shard: number, only?: string) {
  for await (const { subject, seq, text } of log.state.scan({
    subject: log.names.doc('foreign', only ?? '*', shard, '*'),
  })) {
    const { task } = JSON.parse(text()) as Announcement
    yield { task, group: fromToken(subject.split('.').at(-3)!), seq }
  }
}

/** `seq`: of what was changed. */
export async function announceChange(
  log: NatsLog,
  group: string,
  shard: number,
  seq: number,
  task: string,
): Promise<void> {
  await log.state.append(log.names.doc('foreign', group, shard, seq), JSON.stringify({ task } satisfies Announcement))
}

/**
 * What the turns of one task make of it, by the newest, or, where that does not say all, by all that are kept, or by those after
 * `known`.
 */
export async function liveOf(
  log: NatsLog,
  newest: StoredMessage,
  group: string,
  known: { readonly at: number; readonly state?: LiveTaskState | undefined } = { at: 0 },
): Promise<LiveTaskState | undefined> {
  if (newest.header(turnHeaders.end) || isSelfContained(newest)) return applyTurn(undefined, newest, group)
  const task = taskOf(newest.subject)
  const fold = new ShardFold(new Map(known.state && [[task, known.state]]), 0, newest.seq)
  const messages = await Array.fromAsync(
    log.events.scan({ subject: newest.subject, from: known.at + 1, until: newest.seq }),
  )
  const wakes = log.names.wake(log.names.shardOf(task.slice(0, 36)), group)
  for await (const stored of log.events.scan({ subject: wakes, from: newest.seq })) messages.push(stored)
  for (const stored of messages) await fold.add(log, stored, group)
  return fold.live.get(task)
}

export class ShardFold {
  readonly live: Map<string, LiveTaskState>
  /** The reading continues after this position and ends with `until`. */
  readonly start: number
  readonly until: number
  readonly unfinished: UnfinishedTurns | undefined
  /** Everything up to here was read. */
  readTo: number
  /** Sequences of the announcements that are folded in. */
  readonly announcements: number[] = []
  /** Turns that were announced and stored after the reading began. */
  readonly announced: StoredMessage[] = []

  constructor(live: Map<string, LiveTaskState>, start: number, until: number, unfinished?: UnfinishedTurns) {
    this.live = live
    this.start = start
    this.readTo = start
    this.until = until
    this.unfinished = unfinished
  }

  async add(log: NatsLog, stored: StoredMessage, group: string): Promise<void> {
    if (stored.subject.includes('.w.')) {
      const whole = await log.events.at(stored.seq)
      if (whole) applyLegacyWake(this.live, whole, group)
      return
    }
    const task = taskOf(stored.subject)
    this.#set(task, applyTurn(this.live.get(task), stored, group))
    this.unfinished?.add(stored)
  }

  /** The newest turn of a task that somebody else changed. */
  async learn(log: NatsLog, newest: StoredMessage, group: string): Promise<void> {
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

/** Whether a turn says by itself when its task is woken and from where the log is kept for it. */
export const isSelfContained = ({ header }: Pick<StoredTurn, 'header'>) =>
  header(turnHeaders.wake) !== '' &&
  (header(turnHeaders.version) === '1' || !!header(turnHeaders.snapshot) || header(turnHeaders.origin) !== '')

/**
 * What a turn makes of its task; undefined when it has ended. `before` is asked for what the turn does not say, and must then be
 * all that came before it.
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

/** Whether what is known of a task cannot be right by a turn that was its newest not long ago. */
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
  const groups: string[] = []
  for await (const { text } of log.state.scan({ subject: log.names.doc('group', '*') })) {
    const { group, mode } = JSON.parse(text()) as { group: string; mode: string }
    if (mode === 'sharded') groups.push(group)
  }
  return groups
}
