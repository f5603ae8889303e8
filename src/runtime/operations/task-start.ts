import type { Bus } from '../../bus/bus.ts'
import { correlationOf, turnId } from '../../bus/ids.ts'
import { notOnLog } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { matchesType } from '../../pattern.ts'
import type { Turn } from '../../tasks/program.ts'

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

async function startType(bus: Bus, first: CloudEvent): Promise<string> {
  return ((await bus.resolve(first)).data as Turn).inputs[0]?.type ?? ''
}
