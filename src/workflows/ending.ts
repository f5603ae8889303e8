import { failure, type ErrorCode } from '../errors.ts'
import type { CallOutcome } from '../tasks/outcome.ts'
import { callCommand, cancelOpenCalls } from './calls.ts'
import type { CallStep } from './definition.ts'
import { evaluate } from './evaluate.ts'
import type { ReceivedEvent } from './match.ts'
import type { Command, InstanceCourse, InstanceEnding } from './state.ts'

/*
 * How an instance ends. Steps that completed and can be undone are undone first, the newest first:
 *
 *     endAs ──▶ call of an undo ──▶ afterUndo ──▶ … ──▶ fail or cancel
 */

/** Undoes the completed steps that can be undone, then ends. */
export function endAs(course: InstanceCourse, as: InstanceEnding): void {
  const { state } = course
  if (state.ended || state.ending) return
  cancelOpenCalls(course)
  delete state.wait
  state.ending = { as }
  undoNext(course)
}

export function failWith(course: InstanceCourse, code: ErrorCode, message: string): void {
  endAs(course, { error: failure(code, message) })
}

export function completeWith(course: InstanceCourse, output: unknown): void {
  course.commands.push({ kind: 'complete', output: output ?? null })
  finish(course)
}

/** Remembers how to undo a call that has been answered. */
export function recordUndo({ state }: InstanceCourse, { id, undo }: CallStep): void {
  if (undo) state.undo = [...(state.undo ?? []), { step: id, input: evaluate(undo.input, state.scope) ?? null }]
}

export function afterUndo(course: InstanceCourse, result: CallOutcome): void {
  const { undo, ending } = course.state
  const { step } = undo!.pop()!
  if ('error' in result) ending!.failed = [...(ending!.failed ?? []), `${step} (${result.error.message})`]
  undoNext(course)
}

function undoNext(course: InstanceCourse): void {
  const { code, state, commands } = course
  const last = state.undo?.at(-1)
  if (!last) return emitEnding(course)
  const done = code.instructions[code.indexOf(last.step) ?? -1]
  if (done?.op === 'call' && done.step.undo)
    commands.push(callCommand('undo', done.step.undo.target, last.input, done.step.within))
  else afterUndo(course, { error: failure('E_WORKFLOW_VALUE', 'the definition no longer has its undo') })
}

function emitEnding(course: InstanceCourse): void {
  const { as, failed = [] } = course.state.ending!
  const more = failed.length > 0 ? `; not undone: ${failed.join(', ')}` : ''
  course.commands.push(
    'error' in as
      ? { kind: 'fail', error: { ...as.error, message: as.error.message + more } }
      : { kind: 'cancel', reason: as.cancelled + more },
  )
  finish(course)
}

function finish({ state, commands }: InstanceCourse): void {
  for (const event of state.early ?? []) commands.push(lateCommand(event, state.at))
  delete state.early
  delete state.wait
  state.ended = true
}

/** Reports an event that no step can take any more. `at`: the current step. */
export const lateCommand = ({ id, type }: ReceivedEvent, at: string | undefined): Command => ({
  kind: 'emit',
  type: 'workflow.late',
  data: { event: id, type, at: at ?? null },
  subject: id,
})
