import type { Control } from './control.ts'

export default {
  fault: 'An answer of another tenant lets a tool run.',
  file: 'src/tools/approval.ts',
  find: ' && found.tenant === tenant',
  replace: '',
  test: 'test/identity/tenants.test.ts',
  name: 'counts neither for a program nor for a tool',
} satisfies Control
