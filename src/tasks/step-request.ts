import { textOf } from '../errors.ts'
import type { CloudEvent } from '../event.ts'

/** Type of the request for an inline step. */
export const stepType = 'step.invoke'

/** The name that the code gave the step. */
export function stepName({ data }: CloudEvent): string {
  return textOf((data as { step?: unknown } | null)?.step ?? '')
}
