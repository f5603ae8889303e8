import type { Control } from './control.ts'

export default {
  fault: 'A program that changes its state while it decides has another one after a restart.',
  file: 'src/tasks/program.ts',
  find: 'decide(copyOf(this.#state)',
  replace: 'decide(this.#state',
  test: 'test/values/property.test.ts',
  name: 'in several processes',
} satisfies Control
