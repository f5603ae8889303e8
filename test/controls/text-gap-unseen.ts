import type { Control } from './control.ts'

export default {
  fault: 'A reader that lacks a piece shows the text without it, and asks for nothing.',
  file: 'src/tasks/call-text.ts',
  find: `if (offset > this.#offset) return 'gap'`,
  replace: `if (offset < 0) return 'gap'`,
  test: 'src/tasks/open-texts.test.ts',
  name: 'asks once for what is missing',
} satisfies Control
