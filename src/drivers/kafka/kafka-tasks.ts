import type { Commit, CommitResult, Delivery, EncodedEvent, MissedWake, TaskJournal } from '../../bus/driver.ts'
import { cancelId, correlationOf, isCorrelation, isTaskId, parseId, resultId, turnId } from '../../bus/ids.ts'
import { eventFrom } from '../../bus/malformed.ts'
import type { CloudEvent } from '../../event.ts'
import type { LogHolder } from '../shared/retention.ts'
import { KafkaClaims } from './claims.ts'
import type { KafkaGroups } from './kafka-groups.ts'
import type { KafkaLog } from './kafka-log.ts'
import type { IndexedEvent } from './local-index.ts'
import { allWakes, snapshotOf } from './task-state.ts'

const pageSize = 256

/** Turns, journals and wake-ups of a log. */
export class KafkaTasks {
  readonly #log: KafkaLog
  readonly #groups: KafkaGroups
  readonly #claims: KafkaClaims

  constructor(log: KafkaLog, groups: KafkaGroups) {
    this.#log = log
    this.#groups = groups
    this.#claims = new KafkaClaims(log)
  }

  commit(commit: Commit): Promise<CommitResult> {
    return this.#groups.commit(commit)
  }

  async journal(task: string): Promise<TaskJournal> {
    const { index } = this.#log
    const partition = await this.#freshen(task)
    const snapshot = snapshotOf(index, task)
    const rows = index
      .idsBetween(turnId(task, (snapshot?.version ?? 0) + 1), `${task};`)
      .filter(({ id }) => isTurnOrEmitted(task, id))
    const cancelled = rows.filter(({ id }) => isTurn(task, id)).flatMap(row => [...this.#cancelledBy(task, row)])
    const records = [...rows, ...cancelled].sort((a, b) => a.offset - b.offset)
    return {
      ...(snapshot && { snapshot }),
      records: records.flatMap(({ offset }) => this.#eventAt(partition, offset) ?? []),
    }
  }

  /** Takes two seeks for each task: its first id, which begins with the id of the task, and its last, which names the newest turn. */
  async newestTurns(correlation: string): Promise<CloudEvent[]> {
    const { index } = this.#log
    const partition = await this.#freshen(correlation)
    const turns: CloudEvent[] = []
    const end = `${correlation}/`
    for (let id = index.firstId(`${correlation}.`, end); id !== undefined; ) {
      const task = id.split(':')[0]!
      const last = index.lastId(`${task}:`, `${task};`)
      const version = last === undefined ? undefined : parseId(last.slice(0, turnId(task, 1).length))?.version
      const row = version === undefined ? undefined : index.byId(partition, turnId(task, version))
      const event = row && this.#eventAt(partition, row.offset)
      if (event) turns.push(event)
      id = index.firstId(`${task};`, end)
    }
    return turns
  }

  async isCallSettled(call: string): Promise<boolean> {
    const { index, names } = this.#log
    const correlation = correlationOf(call)
    if (!isCorrelation(correlation)) return false
    const partition = names.partitionOf(correlation)
    await this.#log.follower.freshen([partition])
    return [resultId(call), cancelId(call)].some(id => index.byId(partition, id) !== undefined)
  }

  claim(_delivery: Delivery, entry: EncodedEvent): Promise<boolean> {
    return this.#claims.claim(entry)
  }

  /** A wake-up is stored with its turn, so that none can be missing. */
  async *missedWakes(before: number): AsyncGenerator<MissedWake> {
    await this.#log.follower.freshen()
    for (const { group, task, due } of allWakes(this.#log.index))
      if (due < before) yield { kind: 'overdue', group, task, due }
  }

  /** The live tasks that need a partition, and from where. */
  holders(partition: number): LogHolder[] {
    const { index } = this.#log
    const holders: LogHolder[] = []
    for (let id = index.firstId('', '~'); id !== undefined; ) {
      const task = id.split(':')[0]!
      if (!isTaskId(task)) {
        id = index.firstId(`${id}\0`, '~')
        continue
      }
      // The turn of a snapshot stays, too: readers and copies find the task by it.
      const first = index.byId(partition, turnId(task, snapshotOf(index, task)?.version ?? 1))
      if (first && index.state(`ended/${task}`) === undefined)
        holders.push({ offset: first.offset, heldBy: `task ${task}` })
      id = index.firstId(`${task};`, '~')
    }
    return holders
  }

  async #freshen(task: string): Promise<number> {
    const partition = this.#log.names.partitionOf(correlationOf(task))
    await this.#log.follower.freshen([partition])
    return partition
  }

  /** The calls that a turn cancelled. Their ids belong to older turns, but they are stored right after this one. */
  *#cancelledBy(task: string, { partition, offset }: IndexedEvent): Generator<IndexedEvent> {
    for (let after = offset; ; ) {
      const rows = this.#log.index.range(partition, after, Infinity, pageSize)
      for (const row of rows) {
        if (!row.id.startsWith(`${task}:`) || isTurn(task, row.id)) return
        if (row.id.endsWith(':cancel')) yield row
      }
      if (rows.length < pageSize) return
      after = rows.at(-1)!.offset
    }
  }

  #eventAt(partition: number, offset: number): CloudEvent | undefined {
    const text = this.#log.index.text(partition, offset)
    return text === undefined ? undefined : eventFrom(text)
  }
}

/** After the task, the id of a turn has one part, an emitted event two, an answer or a claim three. */
const isTurnOrEmitted = (task: string, id: string) => /^\d+(:\d+)?$/.test(id.slice(task.length + 1))

const isTurn = (task: string, id: string) => /^\d+$/.test(id.slice(task.length + 1))
