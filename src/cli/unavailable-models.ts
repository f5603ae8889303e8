import { styleText } from 'node:util'
import type { UnavailableModel } from '../models/unavailable.ts'
import { elapsed, printable } from '../trace/text.ts'

/** One line, without colours. */
export function unavailableText({ model, since, reason, nextProbe }: UnavailableModel, now = Date.now()): string {
  const wait = nextProbe === undefined ? undefined : Date.parse(nextProbe) - now
  const due = wait && wait > 0 ? `next probe in ${elapsed(wait)}` : 'the next probe is due'
  const next = wait === undefined ? 'a probe is running' : due
  return printable(`${model} unavailable for ${elapsed(Math.max(0, now - Date.parse(since)))}, ${next}: ${reason}`)
}

export const paintUnavailable = (text: string) => styleText('yellow', text)
