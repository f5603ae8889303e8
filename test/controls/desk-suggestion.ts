import type { Control } from './control.ts'

export default {
  fault: 'The report desk suggests a question that its documents do not answer.',
  file: 'examples/report-desk/suggestion.ts',
  find: "'How does croner treat daylight saving time?'",
  replace: "'How does hono stream server-sent events?'",
  test: 'examples/report-desk/suggestion.test.ts',
  name: 'the suggested question is fully answered from its own document',
} satisfies Control
