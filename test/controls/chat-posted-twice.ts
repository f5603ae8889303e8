import type { Control } from './control.ts'

export default {
  fault: 'A message that is posted several times at once starts as many tasks.',
  file: 'src/ask/client.ts',
  find: 'if (own && replaces === undefined)',
  replace: 'if (own)',
  test: 'test/chat.test.ts',
  name: 'takes the same message, posted several times at once',
} satisfies Control
