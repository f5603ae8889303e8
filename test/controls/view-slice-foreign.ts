import type { Control } from './control.ts'

export default {
  fault: 'A slice has the events of another tenant.',
  file: 'src/gateway/views/slice.ts',
  find: 'stored.event.tenant === principal.tenant && ',
  replace: '',
  test: 'test/operator-views.test.ts',
  name: '/slice downloads',
} satisfies Control
