import type { Control } from './control.ts'

export default {
  fault: 'A worker executes the command of an operator without asking its own policy.',
  file: 'src/runtime/operations/authority.ts',
  find: 'credential && !(await identity.mayOperate(event, credential))',
  replace: 'false',
  test: 'test/operations.test.ts',
  name: 'are executed for those whom the policy permits',
} satisfies Control
