import type { Control } from './control.ts'

export default {
  fault: 'A client shows the first state of a task only.',
  file: 'src/client/resumed-parts.ts',
  find: 'return this.#states.given < ++this.#states.sent',
  replace: 'return this.#states.given === 0 && ++this.#states.sent',
  test: 'test/client/resumed-parts.test.ts',
  name: 'each state comes once',
} satisfies Control
