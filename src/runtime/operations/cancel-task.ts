import type { Bus } from '../../bus/bus.ts'
import { correlationOf } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import type { Turn } from '../../tasks/program.ts'
import { turnType } from '../../tasks/turn.ts'

interface CancelOptions {
  /** Who cancels. */
  readonly source: string
  readonly reason: string
  /** Of the `agent.cancel`, if it may be repeated. */
  readonly id?: string
}

/** Asks the program of a task to cancel it, and returns the name of the program. @throws E_NOT_FOUND if the task has ended or is not on the log */
export async function cancelTask(bus: Bus, task: string, { source, reason, id }: CancelOptions): Promise<string> {
  const { program, tenant } = await liveTask(bus, task)
  const draft = { type: 'agent.cancel', source, tenant, target: program, subject: task, ...(id && { id }) }
  await bus.publish({ ...draft, correlationid: correlationOf(task), data: { reason } })
  return program
}

async function liveTask(bus: Bus, task: string): Promise<{ program: string; tenant: string }> {
  let live: { program: string; tenant: string } | undefined
  for await (const { event } of bus.read({ task })) {
    if (event.type !== turnType) continue
    const { program, end } = ((await bus.resolve(event)) as CloudEvent<Turn>).data
    if (end)
      throw new TidingsError('E_NOT_FOUND', `task ${task} has already ended: it is ${end}`, {
        next: `Only a live task can be cancelled. \`tidings trace ${correlationOf(task)}\` shows what happened.`,
      })
    live ??= { program, tenant: event.tenant }
  }
  if (!live) throw new TidingsError('E_NOT_FOUND', `task "${task}" is not on the log`)
  return live
}
