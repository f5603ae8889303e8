import type { Control } from './control.ts'

export default {
  fault: 'The key of another user stands for whoever names it.',
  file: 'src/gateway/identity/identity.ts',
  find: 'key?.tenant === tenant && key.name === user &&',
  replace: 'key !== undefined &&',
  test: 'test/operations.test.ts',
  name: 'are executed for those whom the policy permits',
} satisfies Control
