import type { Control } from './control.ts'

export default {
  fault: 'An answer that ended for an unknown reason is taken for a whole one.',
  file: 'src/tasks/conversation.ts',
  find: "finish !== 'tool-calls') return 'other'",
  replace: "finish !== 'tool-calls') return 'whole'",
  test: 'src/agents/finish.test.ts',
  name: 'for another reason',
} satisfies Control
