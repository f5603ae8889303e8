import type { Control } from './control.ts'

export default {
  fault: 'Text that a reader has comes again after an interruption.',
  file: 'src/client/resumed-parts.ts',
  find: 'if (text.given.startsWith(text.sent)) return []',
  replace: '',
  test: 'test/client/resumed-parts.test.ts',
  name: 'an interruption alone',
} satisfies Control
