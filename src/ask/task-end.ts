import { taskId } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { compileFilter } from '../pattern.ts'
import { askTarget } from '../tasks/asked.ts'

/** The types of the ends of tasks. */
export const ends: readonly string[] = ['agent.task.completed', 'agent.task.failed', 'agent.task.cancelled']

/** Whether an event is the end of a requested task. */
export const isEnd = compileFilter([{ types: ends, targets: [askTarget] }])

/** The requested task that an end belongs to, which is the first of a `continueAs` chain. The data may be in a blob. */
export const taskOfEnd = (end: CloudEvent): string => taskId(end.correlationid, programOfEnd(end), end.call!)

export const programOfEnd = ({ source }: CloudEvent): string => source.slice(source.indexOf('/', 1) + 1)
