import type { Control } from './control.ts'

export default {
  fault: 'An operator sees the attention list of another tenant.',
  file: 'src/trace/attention/list.ts',
  find: ': item.event.tenant === tenant',
  replace: ': item.event.tenant !== undefined',
  test: 'test/operator-views.test.ts',
  name: '/attention lists what needs',
} satisfies Control
