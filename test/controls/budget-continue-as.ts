import type { Control } from './control.ts'

export default {
  fault: 'A chain by continueAs that makes no calls goes on for ever.',
  file: 'src/tasks/budget.ts',
  find: "(builder.end === 'continued' ? 1 : 0)",
  replace: '0',
  test: 'test/bounds/budget.test.ts',
  name: 'continues as itself',
} satisfies Control
