import type { Control } from './control.ts'

export default {
  fault: 'Late pieces of an attempt that failed are mixed into the text of the next one.',
  file: 'src/tasks/call-text.ts',
  find: `if (attempt < this.#attempt) return 'known'`,
  replace: `if (attempt === '') return 'known'`,
  test: 'src/ask/parts.test.ts',
  name: 'begins the parts of an attempt again',
} satisfies Control
