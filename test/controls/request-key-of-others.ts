import type { Control } from './control.ts'

export default {
  fault: 'Two users of a tenant who choose the same idempotency key share one request.',
  file: 'src/ask/idempotency.ts',
  find: '[user, operation, key]',
  replace: '[operation, key]',
  test: 'test/ask.test.ts',
  name: 'asks once for each idempotency key',
} satisfies Control
