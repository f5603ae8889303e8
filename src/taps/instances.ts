import type { Bus } from '../bus/bus.ts'
import type { Cursor } from '../bus/driver.ts'
import { resultId } from '../bus/ids.ts'
import { hostId, startTimeOf } from '../bus/processes.ts'
import { failure } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { failureType, tappedTypes, tapTarget, type TappedType } from '../bus/tapped.ts'
import { tapAnswer } from './tap-answer.ts'

/*
 * Which processes run a tap, in one document for each name of a tap. Each process has an id, which the ids of its calls contain, a lease, and
 * the place on the log after which its open calls are. A process whose lease has ended, or that no longer exists on this machine, cannot end
 * its calls any more: another one ends them as interrupted.
 */

export const leaseMs = 15_000

interface Instance {
  /** Ms since the epoch, by the clock of the log. */
  readonly until: number
  /** Open calls of this process are after it. */
  readonly cursor: Cursor
  /** The machine, the process and its start, to see at once that it has died. */
  readonly process: readonly [host: string, pid: number, started: string]
}

interface TapDocument {
  readonly instances: Readonly<Record<string, Instance>>
}

const documentKey = (tap: string) => `tap/${tap}`
const ownProcess: Instance['process'] = [hostId, process.pid, startTimeOf(process.pid)]

/** The id of a call contains the process that makes it. */
export const callIdOf = (tap: string, instance: string, n: number): string => `${tapTarget(tap)}:${instance}:${n}`

const instanceIn = (id: string, tap: string) => id.slice(tapTarget(tap).length + 1).split(':')[0]

/** Extends the lease of this process, with the place after which its open calls are. Also tells whether the log can be written. */
export async function renewLease(bus: Bus, { tap, id }: TapInstance, cursor: Cursor): Promise<void> {
  await bus.documents.update<TapDocument>(
    documentKey(tap),
    current => ({
      instances: { ...current?.instances, [id]: { until: bus.now() + leaseMs, cursor, process: ownProcess } },
    }),
    { namesOnly: true },
  )
}

export interface TapInstance {
  /** Name of the tap. */
  readonly tap: string
  readonly id: string
}

/** Removes a process that has no open calls. */
export const endLease = (bus: Bus, { tap, id }: TapInstance): Promise<void> => forget(bus, tap, [id])

/** Ends the open calls of processes that have died. Returns how many there were. */
export async function closeInterrupted(bus: Bus, { tap, id: own }: TapInstance): Promise<number> {
  const { instances = {} } = (await bus.documents.read<TapDocument>(documentKey(tap))) ?? {}
  const dead = Object.entries(instances).filter(([id, each]) => id !== own && isDead(each, bus.now()))
  let closed = 0
  for (const [id, { cursor }] of dead) closed += await closeCalls(bus, { tap, id }, cursor)
  if (dead.length > 0) await forget(bus, tap, dead.map(([id]) => id)) // biome-ignore format: one line
  return closed
}

function isDead({ until, process: [host, pid, started] }: Instance, now: number): boolean {
  return until < now || (host === hostId && startTimeOf(pid) !== started)
}

async function closeCalls(bus: Bus, { tap, id }: TapInstance, after: Cursor): Promise<number> {
  const open = new Map<string, CloudEvent>()
  const answers = ['model.result', 'model.failed', 'tool.result', 'tool.failed', 'http.response']
  const filter = [{ types: tappedTypes, targets: [tapTarget(tap)] }, { types: answers }]
  for await (const { event } of bus.read({ after, until: await bus.head(), filter })) {
    if (event.call !== undefined) open.delete(event.call)
    else if (instanceIn(event.id, tap) === id) open.set(event.id, event)
  }
  let closed = 0
  for (const request of open.values()) {
    // An answer may be on the log before its request: partitions are read in any order.
    if (await bus.get(resultId(request.id), request.correlationid)) continue
    const error = failure('E_TAP_INTERRUPTED', `the tap "${tap}" ended before it had recorded the end of this call`)
    await bus.publish(tapAnswer(request, { type: failureType(request.type as TappedType), data: { error } }))
    closed++
  }
  return closed
}

async function forget(bus: Bus, tap: string, ids: readonly string[]): Promise<void> {
  await bus.documents.update<TapDocument>(
    documentKey(tap),
    current => ({
      instances: Object.fromEntries(Object.entries(current?.instances ?? {}).filter(([id]) => !ids.includes(id))),
    }),
    { namesOnly: true },
  )
}
