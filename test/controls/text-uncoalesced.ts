import type { Control } from './control.ts'

export default {
  fault: 'Each token is a signal of its own.',
  file: 'src/models/text-stream.ts',
  find: `if (this.#timer) return`,
  replace: ``,
  test: 'src/models/text-stream.test.ts',
  name: 'sends the first piece at once',
} satisfies Control
