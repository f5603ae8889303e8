import type { Control } from './control.ts'

export default {
  fault: 'A call is retried until its caller has given up.',
  file: 'src/tasks/retry.ts',
  find: 'deadline !== undefined && at >= Date.parse(deadline)',
  replace: "deadline === ''",
  test: 'test/models/outage.test.ts',
  name: 'on sqlite .* before its deadline',
} satisfies Control
