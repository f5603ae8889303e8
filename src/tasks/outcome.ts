import { checkedErrorData, failure, textOf, type ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { decisionOf, deniedType, grantedType } from './approval.ts'

/** The result of a call. A denied approval is an output, not an error. */
export type CallOutcome = { readonly output: unknown } | { readonly error: ErrorData }

export function callOutcome(answer: CloudEvent): CallOutcome {
  const { type } = answer
  const data = (answer.data ?? {}) as { output?: unknown; error?: unknown; reason?: unknown }
  if (type === 'timer.fired') return { output: undefined }
  if (type === 'agent.task.cancelled') return { error: failure('E_TASK_CANCELLED', textOf(data.reason ?? 'cancelled')) }
  if (data.error) return { error: checkedErrorData(data.error, 'E_TOOL_THREW') }
  if (type === grantedType || type === deniedType) return { output: decisionOf(answer) }
  return { output: type === 'model.result' ? data : data.output }
}
