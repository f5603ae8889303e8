import type { Control } from './control.ts'

export default {
  fault: 'A worker that takes over starts every budget from nothing.',
  file: 'src/tasks/budget.ts',
  find: 'new Account(isFirst && isYoung)',
  replace: 'new Account(isYoung || true)',
  test: 'test/bounds/budget.test.ts',
  name: 'what was spent counts',
} satisfies Control
