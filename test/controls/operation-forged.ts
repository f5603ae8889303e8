import type { Control } from './control.ts'

export default {
  fault: 'Anybody may publish the result of an operation.',
  file: 'src/bus/admit.ts',
  find: '|model|operation|',
  replace: '|model|',
  test: 'test/operations.test.ts',
  name: 'are executed for those whom the policy permits',
} satisfies Control
