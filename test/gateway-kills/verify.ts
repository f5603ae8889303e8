import type { Bus } from '../../src/bus/bus.ts'
import type { CloudEvent } from '../../src/event.ts'
import { turnType } from '../../src/tasks/turn.ts'
import type { ClientRecord } from './clients.ts'

/** Differences between what clients were told, what is stored and what they saw. Every list is empty if all is well. */
export interface Differences {
  /** Events of answered requests that are not stored. */
  readonly lost: string[]
  /** Events of one request that are stored more than once. */
  readonly twice: string[]
  /** Requests that started no task, or more than one, or a task that did not end. */
  readonly tasks: string[]
  /** Events of the user that its stream did not send. */
  readonly unseen: string[]
  readonly seenTwice: string[]
  /** Events in a stream that are not of its user. */
  readonly foreign: string[]
  /** Events that a stream sent after a later event of their correlation. */
  readonly disordered: string[]
  readonly refused: string[]
}

export interface StoredLog {
  /** All but turns, in the order of each correlation. */
  readonly byUser: ReadonlyMap<string, readonly CloudEvent[]>
  readonly events: number
}

export async function readStored(bus: Bus): Promise<StoredLog> {
  const byUser = new Map<string, CloudEvent[]>()
  let events = 0
  for await (const { event } of bus.read({})) {
    if (event.type === turnType || event.user === undefined) continue
    events++
    const own = byUser.get(event.user)
    if (own) own.push(event)
    else byUser.set(event.user, [event])
  }
  return { byUser, events }
}

export const isClean = (found: Differences) => Object.values(found).every(list => list.length === 0)

/** Tasks may still run, and streams still send; all other differences stay. */
export function isPending({ tasks, unseen, foreign, ...final }: Differences): boolean {
  return tasks.length + unseen.length + foreign.length > 0 && Object.values(final).every(list => list.length === 0)
}

export function compare({ byUser }: StoredLog, records: readonly ClientRecord[]): Differences {
  const found: Differences = {
    lost: [],
    twice: [],
    tasks: [],
    unseen: [],
    seenTwice: [],
    foreign: [],
    disordered: [],
    refused: [],
  }
  for (const record of records) {
    const stored = byUser.get(record.user) ?? []
    compareAnswers(found, record, stored)
    compareStream(found, record, stored)
    found.refused.push(...record.refusals.map(refusal => `${record.user}: ${refusal}`))
  }
  return found
}

function compareAnswers(found: Differences, { user, answers }: ClientRecord, stored: readonly CloudEvent[]): void {
  const requested = new Map<string, string[]>()
  const completed = new Map<string, number>()
  for (const { id, type, data, correlationid } of stored) {
    if (type === 'storm.told' || type === 'storm.asked') {
      const { n, i } = data as { n: number; i: number }
      const ids = requested.get(`${n}.${i}`)
      if (ids) ids.push(id)
      else requested.set(`${n}.${i}`, [id])
    } else if (type === 'agent.task.completed') completed.set(correlationid, (completed.get(correlationid) ?? 0) + 1)
  }
  for (const [n, ids] of answers.entries())
    for (const [i, id] of ids.entries())
      if (!requested.get(`${n}.${i}`)?.includes(id)) found.lost.push(`${user}: event ${i} of request ${n}, ${id}`)
  for (const [request, ids] of requested)
    if (ids.length > 1) found.twice.push(`${user}: event ${request}, ${ids.join(' and ')}`)
  for (const { type, correlationid, id } of stored)
    if (type === 'storm.asked' && completed.get(correlationid) !== 1)
      found.tasks.push(`${user}: ${completed.get(correlationid) ?? 0} tasks of ${id}`)
}

function compareStream(found: Differences, { user, seen }: ClientRecord, stored: readonly CloudEvent[]): void {
  const places = new Map(stored.map(({ id, correlationid }, place) => [id, { place, correlationid }]))
  const last = new Map<string, number>()
  const had = new Set<string>()
  for (const id of seen) {
    const known = places.get(id)
    if (had.has(id)) found.seenTwice.push(`${user}: ${id}`)
    had.add(id)
    if (!known) found.foreign.push(`${user}: ${id}`)
    else if (known.place < (last.get(known.correlationid) ?? -1)) found.disordered.push(`${user}: ${id}`)
    else last.set(known.correlationid, known.place)
  }
  for (const { id, type } of stored) if (!had.has(id)) found.unseen.push(`${user}: ${type} ${id}`)
}
