import type { Control } from './control.ts'

export default {
  fault: 'An operator acts on the tasks of another tenant.',
  file: 'src/tasks/task-start.ts',
  find: '?.tenant !== tenant) throw',
  replace: ' === undefined) throw',
  test: 'test/operations.test.ts',
  name: 'are executed for those whom the policy permits',
} satisfies Control
