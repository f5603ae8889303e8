import type { Control } from './control.ts'

export default {
  fault: 'What waits for clients that do not read has no bound.',
  file: 'src/gateway/frames.ts',
  find: 'this.#bytes + bytes > this.#maxBytes',
  replace: 'this.#bytes + bytes > this.#maxBytes * 1e6',
  test: 'src/gateway/slow-readers.test.ts',
  name: 'the slowest are cut off',
} satisfies Control
