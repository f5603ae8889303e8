import { TidingsError, type ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { decisionOf, deniedType, grantedType } from './approval.ts'

/** What an answer means to whoever asked. A person's no is an output. */
export type Outcome = { readonly output: unknown } | { readonly error: ErrorData }

export function outcomeOf(answer: CloudEvent): Outcome {
  const { type } = answer
  const data = answer.data as { output?: unknown; error?: ErrorData; reason?: string }
  if (type === 'timer.fired') return { output: undefined }
  if (type === 'agent.task.cancelled')
    return { error: new TidingsError('E_TASK_CANCELLED', data.reason ?? 'cancelled').toJSON() }
  if (data.error) return { error: data.error }
  if (type === grantedType || type === deniedType) return { output: decisionOf(answer) }
  return { output: type === 'model.result' ? data : data.output }
}
