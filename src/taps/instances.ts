import type { Bus } from '../bus/bus.ts'
import type { Cursor } from '../bus/driver.ts'
import { resultId } from '../bus/ids.ts'
import { hostId, startTimeOf } from '../bus/processes.ts'
import { failure } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { failureType, tappedTypes, tapTarget, type TappedType } from '../bus/tapped.ts'
import type { ExpiredLeases } from './expired-leases.ts'
import { publishGap, readGap } from './gap.ts'
import { tapAnswer } from './tap-answer.ts'
import { forgetLeftCalls, processesThatLeftCalls, readLeftCalls } from './unrecorded-calls.ts'

/*
 * Which processes run a tap, in one document for each name of a tap. Each process has an id, which the ids of its calls contain, a lease, and
 * the place on the log after which its open calls are. A process whose lease nobody renews, or that no longer exists on this machine, cannot end
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

/** The process and the number of a call, from its id. */
function partsOf(id: string, tap: string): { readonly instance: string; readonly n: number } {
  const [instance = '', n] = id.slice(tapTarget(tap).length + 1).split(':')
  return { instance, n: Number(n) }
}

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

/**
 * Ends the open calls of processes that have died, and reports the calls of theirs that are not on the log, as far as their files in `folder` know
 * them. Returns how many there were of each.
 */
export async function closeInterrupted(
  bus: Bus,
  { tap, id: own }: TapInstance,
  { folder, expired }: { readonly folder: string | undefined; readonly expired: ExpiredLeases },
): Promise<{ readonly ended: number; readonly lost: number }> {
  const { instances = {} } = (await bus.documents.read<TapDocument>(documentKey(tap))) ?? {}
  const isDead = (id: string, each: Instance) =>
    hasExited(each) || (each.until < bus.now() && expired.hasNoOwner(id, each.until))
  const dead = Object.entries(instances).filter(([id, each]) => id !== own && isDead(id, each))
  let [ended, lost] = [0, 0]
  for (const [id, { cursor }] of dead) {
    const found = await closeCalls(bus, { tap, id }, cursor)
    ended += found.ended
    lost += await reportLost(bus, { tap, id }, folder, found.recorded)
  }
  // Those that never reached the log.
  const others = folder === undefined ? [] : processesThatLeftCalls(folder, tap)
  for (const id of others) if (!instances[id]) lost += await reportLost(bus, { tap, id }, folder, new Set())
  if (dead.length > 0) await forget(bus, tap, dead.map(([id]) => id)) // biome-ignore format: one line
  return { ended, lost }
}

/** `recorded`: the calls that are on the log although their process did not live to see it. */
async function reportLost(
  bus: Bus,
  instance: TapInstance,
  folder: string | undefined,
  recorded: ReadonlySet<number>,
): Promise<number> {
  const left = folder === undefined ? undefined : readLeftCalls(folder, instance)
  if (!left) return 0
  const { open, missed, reports, since, until } = left
  const reported = (await readGap(bus, instance, reports + 1))?.calls ?? 0
  const calls = open.filter(n => !recorded.has(n)).length + missed - reported
  const [first, last] = [since.toISOString(), until.toISOString()]
  if (calls > 0) await publishGap(bus, instance, 'lost', { calls, since: first, until: last, reason: lostReason })
  forgetLeftCalls(folder!, instance)
  return calls
}

const lostReason = 'E_TAP_INTERRUPTED: the process of the tap ended before it had recorded these calls'

const hasExited = ({ process: [host, pid, started] }: Instance) => host === hostId && startTimeOf(pid) !== started

async function closeCalls(bus: Bus, { tap, id }: TapInstance, after: Cursor) {
  const open = new Map<string, CloudEvent>()
  const recorded = new Set<number>()
  const answers = ['model.result', 'model.failed', 'tool.result', 'tool.failed', 'http.response']
  const filter = [{ types: tappedTypes, targets: [tapTarget(tap)] }, { types: answers }]
  for await (const { event } of bus.read({ after, until: await bus.head(), filter })) {
    const { instance, n } = partsOf(event.id, tap)
    if (event.call !== undefined) open.delete(event.call)
    else if (instance === id) {
      open.set(event.id, event)
      recorded.add(n)
    }
  }
  let ended = 0
  for (const request of open.values()) {
    // An answer may be on the log before its request: partitions are read in any order.
    if (await bus.get(resultId(request.id), request.correlationid)) continue
    const error = failure('E_TAP_INTERRUPTED', `the tap "${tap}" ended before it had recorded the end of this call`)
    await bus.publish(tapAnswer(request, { type: failureType(request.type as TappedType), data: { error } }))
    ended++
  }
  return { ended, recorded }
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
