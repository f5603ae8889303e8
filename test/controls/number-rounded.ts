import type { Control } from './control.ts'

export default {
  fault: 'A number from outside that JavaScript cannot hold is rounded.',
  file: 'src/json-text.ts',
  find: 'if (!mayRound.test(text)) return value',
  replace: 'if (mayRound.test(text) || value !== undefined) return value',
  test: 'test/outside-numbers.test.ts',
  name: 'POST /events keeps it',
} satisfies Control
