import type { Control } from './control.ts'

export default {
  fault: 'A person approves from code what was not shown.',
  file: 'src/tasks/approval-answer.ts',
  find: 'if (hash !== asked)',
  replace: 'if (source !== "/app" && hash !== asked)',
  test: 'test/ask.test.ts',
  name: 'answers them as the approvers of each may',
} satisfies Control
