import type { Control } from './control.ts'

export default {
  fault: 'What a content filter left, and a refusal, are taken for an answer.',
  file: 'src/tasks/conversation.ts',
  find: "if (finish === 'content-filter') return refusals.has(rawFinish) ? 'refused' : 'filtered'",
  replace: "if (finish === 'content-filter') return 'whole'",
  test: 'src/agents/finish.test.ts',
  name: 'ended otherwise',
} satisfies Control
