import type { Control } from './control.ts'

export default {
  fault: 'An event whose task ended and was purged is retried without end.',
  file: 'src/tasks/task-decider.ts',
  find: 'if (inbox.conflicts > 0) {',
  replace: 'if (program === undefined && inbox.conflicts > 0) {',
  test: 'test/repeated-ids.test.ts',
  name: 'a task whose journal was purged',
} satisfies Control
