import type { Control } from './control.ts'

export default {
  fault: 'A workflow whose turn cannot be recorded fails without undoing what it did.',
  file: 'src/tasks/compose.ts',
  find: 'if (!task.machine.canCompensate ||',
  replace: 'if (task.head >= 0 ||',
  test: 'test/workflows/undo.test.ts',
  name: 'on sqlite.*cannot be recorded',
} satisfies Control
