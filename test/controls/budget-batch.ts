import type { Control } from './control.ts'

export default {
  fault: 'The second event of a batch, handed to the next worker, forgets what the first one spent.',
  file: 'src/tasks/budget.ts',
  find: 'new Account(isFirst && isYoung)',
  replace: 'new Account(isFirst || isYoung)',
  test: 'test/bounds/budget.test.ts',
  name: 'the rest of a batch',
} satisfies Control
