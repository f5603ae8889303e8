import type { Control } from './control.ts'

export default {
  fault: 'An operator sees the attention list of another tenant.',
  file: 'src/gateway/views/attention.ts',
  find: 'event.tenant === tenant',
  replace: 'event.tenant !== undefined',
  test: 'test/operator-views.test.ts',
  name: '/attention lists what needs',
} satisfies Control
