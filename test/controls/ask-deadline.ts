import type { Control } from './control.ts'

export default {
  fault: 'The deadline of a request does not end its task.',
  file: 'src/tasks/rules.ts',
  find: 'let next: number | null = task.deadline',
  replace: 'let next: number | null = null',
  test: 'src/testing/test-app.test.ts',
  name: 'ends what was asked at its deadline',
} satisfies Control
