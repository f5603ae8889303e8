import type { Control } from './control.ts'

export default {
  fault: 'A task that failed is not on the attention list.',
  file: 'src/cli/attention.ts',
  find: 'concat(listAttention(bus, query), failed)',
  replace: 'concat(listAttention(bus, query))',
  test: 'test/retry-many.test.ts',
  name: 'on the attention list',
} satisfies Control
