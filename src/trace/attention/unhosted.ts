import type { Bus } from '../../bus/bus.ts'
import { correlationOf, parseId } from '../../bus/ids.ts'
import { didYouMean } from '../../suggest.ts'
import { hasWorker, hostedNames } from '../../tasks/hosts.ts'
import type { QueryIndex } from '../index/open.ts'

/** A target that tasks wait for and that no worker hosts, or none has hosted for a while. */
export interface UnhostedTarget {
  readonly kind: 'unhosted'
  readonly target: string
  readonly what: 'agent' | 'tool' | 'model'
  /** The number of calls that wait for it; `call` is the oldest. */
  readonly waiting: number
  readonly call: string
  readonly task: string
  /** Time of the newest turn of that task, ms since the epoch. */
  readonly due: number
  readonly group: string
  readonly reason: string
}

const kindsByRequest = {
  'agent.invoke': 'agent',
  'agent.retry': 'agent',
  'tool.invoke': 'tool',
  'model.invoke': 'model',
} as const
/** Workers that start together do not appear at once. */
const startGraceMs = 2_000
/** A worker that hosted it may be restarting. */
const restartGraceMs = 60_000

/** The targets that tasks wait for and nobody hosts. `task`: only what this task waits for, however short. `tenant`: only what its tasks wait for. */
export async function findUnhosted(
  bus: Bus,
  query: QueryIndex,
  { now = Date.now(), ...which }: { readonly now?: number; readonly task?: string; readonly tenant?: string } = {},
): Promise<UnhostedTarget[]> {
  const awaited = await query(index => index.awaited(which))
  if (awaited.length === 0) return []
  const known = await hostedNames(bus)
  const found: UnhostedTarget[] = []
  for (const { target, waiting, call, program, since } of awaited) {
    const isKnown = [known.agent, known.tool, known.model].some(names => names.includes(target))
    const graceMs = which.task !== undefined ? 0 : isKnown ? restartGraceMs : startGraceMs
    if (target.startsWith('$') || now - since < graceMs) continue
    const request = await bus.get(call, correlationOf(call))
    const what = kindsByRequest[request?.type as keyof typeof kindsByRequest]
    if (!what) continue
    if (isKnown && (await hasWorker(bus, what, target))) continue
    const problem = `no worker on this log hosts the ${what} "${target}"`
    const reason = isKnown
      ? `${problem} at present, which ${program} waits for`
      : `${problem}, which ${program} waits for${didYouMean(target, known[what])}`
    found.push({
      kind: 'unhosted',
      target,
      what,
      waiting,
      call,
      task: parseId(call)!.task,
      due: since,
      group: program,
      reason,
    })
  }
  return found
}
