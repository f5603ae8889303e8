import { plainRedactor, type Redactor } from '../redact.ts'

let redactor: Redactor = plainRedactor

/** By these rules nothing secret is said in logs and spans: the app's own, where this process hosts one. */
export function sayBy(rules: Redactor): void {
  redactor = rules
}

/** A text as it may be said. */
export const sayable = (text: string): string => redactor.text(text)
