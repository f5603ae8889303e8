import { styleText } from 'node:util'
import { isFailureType } from './outcome.ts'

/* For terminals: colours, and commands as the user types them. */

const families = {
  agent: 'magenta',
  task: 'gray',
  tool: 'cyan',
  model: 'blue',
  timer: 'gray',
  call: 'gray',
  approval: 'yellow',
  control: 'yellow',
} as const

/** Colours a text by the family of an event type; failures are red. */
export function paint(type: string, text = type): string {
  if (isFailureType(type)) return styleText('red', text)
  const family = type.slice(0, type.indexOf('.')) as keyof typeof families
  return styleText(families[family] ?? 'green', text)
}

export const dim = (text: string) => styleText('dim', text)

/** How the user starts Tidings: what npm started, as `npx tidings` or as a script, need not be on the PATH. */
export const tidings = /^'?tidings\b/.test(process.env.npm_lifecycle_script ?? '') ? 'npx tidings' : 'tidings'

/** A hint with its commands as the user types them. */
export const asTyped = (hint: string) => hint.replaceAll(/(?<![\w./-]|npx )tidings (?=[a-z])/g, `${tidings} `)
