import type { Control } from './control.ts'

export default {
  fault: 'A tenant reads the result of a task of another one.',
  file: 'src/ask/answers.ts',
  find: 'if (event.tenant !== tenant) continue',
  replace: '',
  test: 'test/identity/canary.test.ts',
  name: 'no byte of a tenant',
} satisfies Control
