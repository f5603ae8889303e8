import type { Bus } from '../bus/bus.ts'
import { correlationOf, turnId } from '../bus/ids.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { notOnLog } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { matchesType } from '../pattern.ts'
import { isFork, type Fork } from './fork.ts'
import type { Turn } from './program.ts'

/** Which tasks: of this tenant, started by an event of a type that matches this pattern. Undefined matches all. */
interface StartFilter {
  readonly tenant?: string | undefined
  readonly type?: string | undefined
}

/** The tasks of a list that started like this, in the same order. */
export async function startsLike<T extends { readonly task: string }>(
  bus: Bus,
  tasks: readonly T[],
  { tenant, type }: StartFilter,
): Promise<T[]> {
  const found: T[] = []
  for (const each of tasks) {
    const first = await firstTurn(bus, each.task)
    if (!first || (tenant !== undefined && first.tenant !== tenant)) continue
    if (type !== undefined && !matchesType(type, await startType(bus, first))) continue
    found.push(each)
  }
  return found
}

/** Checks that a task belongs to the tenant. One of another tenant is not found, as if it did not exist. @throws E_NOT_FOUND */
export async function assertTaskOf(bus: Bus, task: string, tenant: string): Promise<void> {
  if ((await firstTurn(bus, task))?.tenant !== tenant) throw notOnLog(`the log has no task ${task}`)
}

const firstTurn = (bus: Bus, task: string) => bus.get(turnId(task, 1), correlationOf(task))

/** The type of the event that started a task; for the successor of another task, of the event that started that one. */
async function startType(bus: Bus, firstTurn: CloudEvent): Promise<string> {
  const [input] = ((await bus.resolve(firstTurn)).data as Turn).inputs
  if (!input) return ''
  const { type, data } = isFork(input.type) ? await bus.resolve(input) : input
  if (isFork(type)) return (data as Fork).start.type
  return (type === routedType && routedEventIn(input)?.type) || type
}
