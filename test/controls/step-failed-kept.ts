import type { Control } from './control.ts'

export default {
  fault: 'A retried task keeps the failure of its step instead of running the step again.',
  file: 'src/tasks/rules.ts',
  find: "'step.failed',",
  replace: '',
  test: 'test/steps/retry.test.ts',
  name: 'repeats the step that failed',
} satisfies Control
