import type { Timeout } from '../tasks/duration.ts'
import { requestType } from '../tasks/script-context.ts'
import type { Target } from './definition.ts'
import type { CallSlot, Command, InstanceCourse } from './state.ts'

/* The calls of an instance, as commands of its turn. */

export function callCommand(slot: CallSlot, { kind, name }: Target, input: unknown, within: Timeout): Command {
  return { kind: 'call', slot, type: requestType(kind), target: name, data: { input: input ?? null }, within }
}

/** Calls that were made in this turn are not made; those of earlier turns are cancelled. */
export function cancelOpenCalls(course: InstanceCourse): void {
  course.commands = course.commands.filter(({ kind }) => kind !== 'call')
  for (const call of Object.keys(course.state.open ?? {})) course.commands.push({ kind: 'cancelCall', call })
  delete course.state.open
}
