import type { Control } from './control.ts'

export default {
  fault: 'Nobody answers a request whose deadline passed before its task began.',
  file: 'src/tasks/task-decider.ts',
  find: 'deadline > this.#now()',
  replace: 'true',
  test: 'test/ask.test.ts',
  name: 'also one that has not begun',
} satisfies Control
