import type { Control } from './control.ts'

export default {
  fault: 'A command that names no credential is executed although the worker has a policy.',
  file: 'src/runtime/operations/authority.ts',
  find: 'if (!identity !== !credential)',
  replace: 'if (!identity && credential)',
  test: 'test/operations.test.ts',
  name: 'are executed for those whom the policy permits',
} satisfies Control
