import type { Control } from './control.ts'

export default {
  fault: 'A request whose answer was lost is stored twice.',
  file: 'src/client/client.ts',
  find: "headers: { 'idempotency-key': idempotencyKey }",
  replace: 'headers: {}',
  test: 'test/client/client.test.ts',
  name: 'asks, says and publishes once',
} satisfies Control
