import type { Control } from './control.ts'

export default {
  fault: 'The trace does not show how an answer ended.',
  file: 'src/trace/outcome.ts',
  find: "if (end !== 'whole') return",
  replace: "if (end === 'paused') return",
  test: 'test/models/ends.test.ts',
  name: 'on sqlite .* the trace shows it',
} satisfies Control
