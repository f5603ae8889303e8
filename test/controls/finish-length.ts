import type { Control } from './control.ts'

export default {
  fault: 'An answer that was cut off at the limit of output tokens is taken for a whole one.',
  file: 'src/tasks/conversation.ts',
  find: "if (finish === 'length') return 'length'",
  replace: "if (finish === 'length') return 'whole'",
  test: 'src/agents/finish.test.ts',
  name: 'cut off at the limit',
} satisfies Control
