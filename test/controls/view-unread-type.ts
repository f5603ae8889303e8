import type { Control } from './control.ts'

export default {
  fault: 'The causes of an event show types that a role may not read.',
  file: 'src/gateway/views/rows.ts',
  find: "principal.tenant && principal.may('read', type)",
  replace: 'principal.tenant && type.length > 0',
  test: 'test/views.test.ts',
  name: 'nothing of another tenant',
} satisfies Control
