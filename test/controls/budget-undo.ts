import type { Control } from './control.ts'

export default {
  fault: 'A workflow that runs out of budget fails without undoing what it did.',
  file: 'src/tasks/task-limits.ts',
  find: 'if (notice) await task.decide([notice], builder)',
  replace: 'if (notice && task.head < 0) await task.decide([notice], builder)',
  test: 'test/workflows/undo.test.ts',
  name: 'runs out of budget',
} satisfies Control
