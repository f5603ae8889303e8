import type { Control } from './control.ts'

export default {
  fault: 'An agent is retried although the retry of its caller is about to go on with it.',
  file: 'src/runtime/operations/retry-task.ts',
  find: '  if (pending !== undefined)\n',
  replace: '  if (pending === "")\n',
  test: 'test/retry-once.test.ts',
  name: 'if both it and its caller are retried',
} satisfies Control
