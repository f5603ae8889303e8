import { publisherOf } from '../../../../src/trace/publisher.ts'
import type { Tone } from '../../ui/badge.tsx'

const families: Readonly<Record<string, Tone>> = {
  agent: 'agent',
  task: 'other',
  tool: 'tool',
  model: 'model',
  timer: 'other',
  call: 'other',
  approval: 'approval',
  control: 'operator',
  operation: 'operator',
  workflow: 'workflow',
}

/** The colour of an event: red for a failure, else that of its family. */
export function toneOfType(type: string): Tone {
  if (/(^|\.)(failed|expired|denied)$/.test(type)) return 'failed'
  return families[type.slice(0, type.indexOf('.'))] ?? 'trigger'
}

/** `helper` for `/agents/helper`. */
export const publisherName = (source: string): string => publisherOf(source).name
