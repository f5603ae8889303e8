import { textOf } from '../../errors.ts'
import type { Redactor } from '../redact.ts'

/** Emits a process warning, redacted by the rules of the app. */
export function warn(redactor: Redactor, problem: unknown): void {
  const text = redactor.text(typeof problem === 'string' ? problem : textOf(problem))
  const warning = new Error(text)
  if (problem instanceof Error) warning.stack = redactor.text(problem.stack ?? '')
  process.emitWarning(warning)
}
