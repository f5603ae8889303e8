import type { Control } from './control.ts'

export default {
  fault: 'Each of many readers in a process asks the worker for the same text.',
  file: 'src/tasks/open-texts.ts',
  find: `if (!known) this.#request(scope)`,
  replace: `this.#request(scope)`,
  test: 'src/tasks/open-texts.test.ts',
  name: 'asks once for all readers of a scope',
} satisfies Control
