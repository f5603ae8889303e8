import { failure, type ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { callOutcome } from '../tasks/outcome.ts'
import type { CallRequest } from '../tasks/program.ts'
import { requestType } from '../tasks/script-context.ts'
import type { LoopProgram, LoopTool } from './loop-tools.ts'

/*
 * A guard is a tool, agent or workflow that checks messages of the user before the model reads them, or the answer before the task ends:
 *
 *     message ─▶ guard ─┬─ { allow: true }          ─▶ the model is asked
 *                       ├─ { allow: true, rewrite } ─▶ the model is asked, and reads the rewritten message
 *                       └─ { allow: false, reason } ─▶ failed
 *
 * Its calls are like any others on the log. A guard that fails or does not answer in time fails the task.
 */

/** What checks messages or answers of a model agent. Its input is `{ message }` or `{ output }`, its output a {@link GuardVerdict}. */
export type Guard = LoopTool | LoopProgram

/** The guards of a model agent. */
export interface GuardOptions {
  /** Checks each message of the user, also those that a task gets later, before the model reads it. */
  input?: Guard
  /** Checks the answer before the task ends with it. */
  output?: Guard
}

/** The decision of a guard. With `rewrite`, it takes the place of the message or the answer. */
export interface GuardVerdict {
  readonly allow: boolean
  readonly reason?: string
  readonly rewrite?: unknown
}

/** What a call of a guard is about, as its request says it. */
export type GuardSubject = { readonly message: string } | { readonly output: true }

export const guardRequest = (guard: Guard, input: object, subject: GuardSubject): Omit<CallRequest, 'within'> => ({
  type: requestType(guard.kind),
  target: guard.name,
  data: { input, guard: subject },
})

/** What a guard answered; an error if it refused, failed, or answered with something else. */
export function verdictOf(answer: CloudEvent, guard: string): GuardVerdict | { readonly error: ErrorData } {
  const outcome = callOutcome(answer)
  if ('error' in outcome) return outcome
  const { allow, reason } = (outcome.output ?? {}) as Partial<GuardVerdict>
  if (allow === true) return outcome.output as GuardVerdict
  const why =
    allow === false
      ? (reason ?? 'it gave no reason')
      : 'it answered with something other than { allow, reason?, rewrite? }'
  return { error: failure('E_AGENT_REFUSED', `${guard} refused: ${why}`) }
}
