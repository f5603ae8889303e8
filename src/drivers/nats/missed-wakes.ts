import type { MissedWake } from '../../bus/driver.ts'
import { readCheckpoint } from './checkpoint.ts'
import { announcedIn, groupOfTurn, liveOf, shardedGroups, type LiveTaskState } from './task-checkpoint.ts'
import type { NatsLog } from './nats-log.ts'
import type { StoredMessage } from './stored-message.ts'
import { taskOf, turnHeaders } from './turns.ts'

/** What the next owner of a shard does not read from the log, but takes over from the owner before it. */
interface Inherited {
  /** By group: up to where it reaches. */
  readonly at: ReadonlyMap<string, number>
  readonly live: ReadonlyMap<string, LiveTaskState>
  /** Tasks that the next owner looks up. */
  readonly announced: ReadonlySet<string>
}

/**
 * One pass over the newest turn of each task, by its headers alone: a turn says when its task is woken. The next owner reads
 * what came after the checkpoint, so that only what the checkpoint covers can be missing in it.
 */
export async function* missedWakes(log: NatsLog, before: number): AsyncGenerator<MissedWake> {
  const groups = await shardedGroups(log)
  for (let shard = 0; shard < log.names.shards; shard++) {
    const stream = log.streamOfShard(shard)
    const inherited = await inheritedIn(log, shard, groups)
    const suspects: string[] = []
    for await (const turn of stream.newestHeaders(log.names.turnsIn(shard))) {
      const found = await missedWakeOf(log, turn, inherited, before)
      if (found?.kind === 'unarmed') suspects.push(turn.subject)
      else if (found) yield found
    }
    if (suspects.length === 0) continue
    // The owner may just have written another checkpoint, or the task went on.
    const now = await inheritedIn(log, shard, groups)
    for (const subject of suspects) {
      const turn = await stream.last(subject)
      const found = turn && (await missedWakeOf(log, turn, now, before))
      if (found) yield found
    }
  }
}

async function inheritedIn(log: NatsLog, shard: number, groups: readonly string[]): Promise<Inherited> {
  // Before the checkpoints: an announcement goes when a checkpoint covers it.
  const announced = new Set<string>()
  for await (const { task } of announcedIn(log, shard)) announced.add(task)
  const live = new Map<string, LiveTaskState>()
  const at = new Map<string, number>()
  for (const group of groups) at.set(group, (await readCheckpoint(log, shard, group, live)).at)
  return { at, live, announced }
}

async function missedWakeOf(
  log: NatsLog,
  turn: StoredMessage,
  { at, live, announced }: Inherited,
  before: number,
): Promise<MissedWake | undefined> {
  const group = groupOfTurn(turn)
  const storedWake = turn.header(turnHeaders.wake)
  if (group === undefined || turn.header(turnHeaders.end) || storedWake === 'none') return undefined
  const task = taskOf(turn.subject)
  const due = storedWake === '' ? ((await liveOf(log, turn, group))?.wake ?? null) : Number(storedWake)
  if (due === null) return undefined
  const covered = at.get(group) ?? 0
  const isRead = announced.has(task) || (turn.seq > covered && storedWake !== '')
  if (!isRead) {
    const known =
      storedWake === '' ? await liveOf(log, turn, group, { at: covered, state: live.get(task) }) : live.get(task)
    if ((known?.wake ?? Infinity) > due) return { kind: 'unarmed', group, task, due }
  }
  return due < before ? { kind: 'overdue', group, task, due } : undefined
}
