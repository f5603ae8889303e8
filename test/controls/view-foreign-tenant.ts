import type { Control } from './control.ts'

export default {
  fault: 'A list shows an event of another tenant to who knows its id.',
  file: 'src/gateway/views/rows.ts',
  find: '    tenant === principal.tenant && principal',
  replace: '    tenant.length > 0 && principal',
  test: 'test/views.test.ts',
  name: 'nothing of another tenant',
} satisfies Control
