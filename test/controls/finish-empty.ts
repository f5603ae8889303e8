import type { Control } from './control.ts'

export default {
  fault: 'An empty answer completes the task.',
  file: 'src/tasks/conversation.ts',
  find: "return isEmpty ? 'empty' : 'whole'",
  replace: "return isEmpty ? 'whole' : 'whole'",
  test: 'src/agents/finish.test.ts',
  name: 'an empty answer',
} satisfies Control
