import type { Control } from './control.ts'

export default {
  fault: 'A repeated request waits for an end that came before.',
  file: 'src/ask/client.ts',
  find: 'isRepeated ? undefined : answers.expect(id)',
  replace: 'answers.expect(id)',
  test: 'test/ask.test.ts',
  name: 'asks once for each idempotency key',
} satisfies Control
